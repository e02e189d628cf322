/** What the real restic wrote, read by us. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { literalSecret } from '../../src/model/secret.ts'
import { idOf } from '../../src/repository/ids.ts'
import { encodeNode } from '../../src/repository/node.ts'
import { loadIndex, openRepository, readBlob, readSnapshots, readTree } from '../../src/repository/repository.ts'
import { encodeTree } from '../../src/repository/tree.ts'
import { local } from '../../src/storage/local.ts'
import { scratch } from '../support/file-tree.ts'
import { plantOdd } from '../support/odd-tree.ts'
import { noRestic, restic, RESTIC_PASSWORD, RESTICS } from '../support/restic.ts'

const password = literalSecret(RESTIC_PASSWORD, 'test')

if (noRestic !== false) test('driver:restic reads what restic wrote', { skip: noRestic })

for (const program of RESTICS)
  for (const version of ['1', '2'])
    test(`driver:${program.name} every tree of version ${version} is written again byte for byte, every blob is read`, async (t) => {
      const dir = scratch(t)
      const [repository, source] = [join(dir, 'repo'), join(dir, 'source')]
      mkdirSync(source)
      plantOdd(source)
      writeFileSync(join(source, 'several chunks'), Buffer.alloc(9_000_000, 'some text '))
      restic(program, repository, 'init', '--repository-version', version)
      restic(program, repository, 'backup', '--tag', 'first', source)

      const opened = await openRepository(local({ path: repository }), password)
      assert.equal(opened.config.version, Number(version))
      const [stored] = await readSnapshots(opened)
      assert.deepEqual(stored?.snapshot.tags, ['first'])
      assert.deepEqual(stored?.snapshot.paths, [source])
      const indexed = await loadIndex(opened)
      let trees = 0
      let blobs = 0
      const walk = async (id: string): Promise<void> => {
        const nodes = await readTree(indexed, id)
        assert.equal(idOf(encodeTree(nodes.map(encodeNode))), id)
        trees += 1
        for (const { subtree, content } of nodes) {
          for (const blob of content ?? []) {
            await readBlob(indexed, 'data', blob)
            blobs += 1
          }
          if (subtree !== undefined) await walk(subtree)
        }
      }
      await walk(stored?.snapshot.tree ?? '')
      assert.ok(trees > 5 && blobs > 10)
    })
