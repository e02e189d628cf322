import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scratch } from '../support/holdfast.ts'
import { fuzzApi, noSchemathesis } from './api-fuzz.ts'

test(
  'driver:schemathesis no call makes the API fail or answer what it does not document',
  { skip: noSchemathesis },
  async (t) => {
    const { ok, said, cases } = await fuzzApi(scratch(t, 'fuzz'), 30)
    assert.ok(ok, said)
    assert.ok(cases > 200, `${cases} calls`)
  },
)
