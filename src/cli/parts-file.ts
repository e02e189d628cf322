/** The vaults, notifiers and jobs of a file, for `job apply`. */
import { AppError } from '../base/errors.ts'
import { partsOfFile, type Parts } from '../config/definitions.ts'
import { readConfigFile } from '../config/find.ts'
import { formatOf } from '../config/parse/parse.ts'
import { readFormText } from '../config/read-form.ts'
import { faultsError } from '../config/faults.ts'

/** `text` where it was read already, as YAML, of which JSON is a part. */
export async function readParts(file: string, text?: string): Promise<Parts> {
  const format = text === undefined ? formatOf(file) : 'yaml'
  const { tree, faults } = await readFormText(text ?? (await readConfigFile(file)), format, file, process.env)
  if (faults.length > 0) throw faultsError(faults)
  const others = Object.keys(tree).filter((key) => !['version', '$schema', 'vaults', 'jobs', 'notify'].includes(key))
  if (others.length > 0)
    throw new AppError(
      'config.invalid',
      `${file} has ${others.join(', ')}: only vaults, jobs and notify can be applied`,
    )
  return partsOfFile(tree)
}
