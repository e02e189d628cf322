import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sourceSuite } from '../../testing/source-suite.ts'
import { files } from './index.ts'

const root = mkdtempSync(join(tmpdir(), 'holdfast-source-'))

sourceSuite('driver:files source', {
  open() {
    mkdirSync(join(root, 'a/b'), { recursive: true })
    writeFileSync(join(root, 'a/b/large'), Buffer.alloc(300_000, 'x'))
    for (const name of ['a.txt', 'a/empty', 'Ünïcode 漢字', 'a b'])
      writeFileSync(join(root, name), name === 'a/empty' ? '' : name)
    symlinkSync('a.txt', join(root, 'link'))
    return files({ paths: [root] })
  },
  except: { 'cancelled-midway': 'the walk looks at the signal once for many entries' },
  close: () => rmSync(root, { recursive: true, force: true }),
})
