import { defineConfig } from 'vite'

/** Addresses are relative: the page lives below whatever `<base>` the server writes into index.html. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // What nearly every page uses comes in one file: many small ones wait for each other.
        codeSplitting: { groups: [{ name: 'base', test: /node_modules|ui\/src\/(app|parts|format)\// }] },
      },
    },
  },
  logLevel: 'warn',
})
