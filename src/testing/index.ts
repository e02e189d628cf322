/** `holdfast/testing`: the suites that drivers have to pass, and what helps to test with them. */
export { faulty, type Fault, type FaultyStorage, type StorageCall } from './faulty-storage.ts'
export { manualClock, type ManualClock } from './manual-clock.ts'
export { storageSuite, type StorageSuiteOptions } from './storage-suite.ts'
export type { ChildOpen } from './storage-stress.ts'
