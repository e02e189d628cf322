import type { Trial } from '../../model/source.ts'

/** A MongoDB is started by nobody but its owner. */
export const mongoTrial: Trial = {
  run: async () => [
    {
      level: 'V3',
      ok: false,
      untried: true,
      detail:
        'Holdfast starts no MongoDB of its own; restore to another database to see documents counted and compared',
    },
  ],
}
