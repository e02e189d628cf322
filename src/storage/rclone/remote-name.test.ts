import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRemote } from './remote-name.ts'

test('rclone: secrets in a remote are told apart from the rest, quoted ones too', () => {
  const cases: [string, string, string[]][] = [
    ['remote:path', 'remote:path', []],
    ['/plain/folder,pass=1', '/plain/folder,pass=1', []],
    [
      ":webdav,url='http://h:1/x',user=me,pass=abc:some/path",
      ":webdav,url='http://h:1/x',user=me,pass=…:some/path",
      ['abc'],
    ],
    [`:sftp,host=h,pass='a,b:c''d',port=2:x`, ':sftp,host=h,pass=…,port=2:x', ["a,b:c'd"]],
    [':s3,access_key_id="A""B",secret_access_key=x y:b', ':s3,access_key_id=…,secret_access_key=…:b', ['A"B', 'x y']],
    ['named,token=\'{"a":1}\':p', 'named,token=…:p', ['{"a":1}']],
    [":http,url='http://me:word@h/':", ":http,url='http://…@h/':", []],
    [":sftp,pass='broken:x", ':sftp…', ["pass='broken:x"]],
  ]
  for (const [remote, shown, secrets] of cases) {
    const found = readRemote(remote)
    assert.equal(found.shown, shown)
    for (const secret of secrets) assert.ok(found.secrets.includes(secret), `${remote}: ${found.secrets.join(' ')}`)
  }
})
