import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'

const CEDAR = '@cedar-policy/cedar-wasm/nodejs'

/**
 * Loads cedar-wasm, an instance of its own each time (about 30 ms and 17 MB). The package keeps one instance for each loaded module, so
 * the module leaves the cache: nobody else can share the instance and trap it.
 *
 * INVARIANT: V8 keeps all code of WebAssembly. Where it frees some that several threads share, it can end the process (`Check failed:
 * jit_page_->allocations_.erase`, nodejs/node issue 64500), and each compilation is a thread with an instance of its own.
 */
export function loadCedar(): typeof cedar {
  setFlagsFromString('--no-wasm-code-gc')
  const require = createRequire(import.meta.url)
  const path = require.resolve(CEDAR)
  delete require.cache[path]
  try {
    return require(CEDAR)
  } finally {
    delete require.cache[path]
  }
}
