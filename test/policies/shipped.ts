import { globSync, readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'
import type { ReleaseContent, SourceFile } from '#model/release.ts'
import { type CompileOutcome, compileFolder } from '#policy/compile/compile.ts'

/** Folders under policies/examples/: each is a whole tenant. */
export const EXAMPLES = globSync('policies/examples/*')
  .map((folder) => basename(folder))
  .toSorted((a, b) => a.localeCompare(b))

/** The files of a policy folder as `warder policy push` reads them. */
export function filesOf(folder: string): readonly SourceFile[] {
  return globSync([`${folder}/*.cedar`, `${folder}/*.cedarschema`, `${folder}/tests/*.json`]).map((path) => ({
    name: relative(folder, path),
    text: readFileSync(path, 'utf8'),
  }))
}

/** The shipped guardrails. */
export const GUARDRAILS = filesOf('policies/guardrails').filter((file) => file.name.endsWith('.cedar'))

/** Compiles files as a push does. */
export function compileFiles(files: readonly SourceFile[]): CompileOutcome {
  const warderSchema = readFileSync('policies/schema.cedarschema', 'utf8')
  return compileFolder({ files, guardrails: GUARDRAILS, warderSchema })
}

/** The release of an example; fails with everything that is wrong with it. */
export function releaseOf(example: string): ReleaseContent {
  const outcome = compileFiles(filesOf(`policies/examples/${example}`))
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics, null, 2))
  return outcome.release
}
