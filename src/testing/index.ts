/** Conformance suites for drivers of third parties, on node:test. */
export * from './faulty-storage.ts'
export * from './source-suite.ts'
export * from './storage-suite.ts'
