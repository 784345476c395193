import type { Command } from 'commander'
import { readPolicyFolder } from '#admin/policy-folder.ts'
import type { AdminStore } from '#admin/ports.ts'
import { isReleaseName, readReleaseFiles } from '#admin/release-files.ts'
import type { TenantId } from '#model/ids.ts'
import type { SourceFile } from '#model/release.ts'
import type { PolicyDiff } from '#policy/compile/diff-policies.ts'
import { type CliContext, optionalTenant, requireTenant } from './context.ts'
import { renderDiagnostic } from './diagnostic.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import type { Output } from './output.ts'
import { printable } from './table.ts'

const SIDE = 'a folder, a release (id or its first eight or more digits), or `active`'

/** `warder policy diff`. */
export function addDiffCommand(policy: Command, context: CliContext): void {
  policy
    .command('diff')
    .argument('<before>', SIDE)
    .argument('<after>', SIDE)
    .option('--tenant <tenant>', 'whose releases; required unless both sides are folders')
    .description('compare by policy id and meaning, not by text; exit 0 when they say the same, 1 when not')
    .action(async (before: string, after: string, flags: { readonly tenant?: string }, command: Command) => {
      const output = context.output(command)
      const sides = await readSides(context, output, [before, after], optionalTenant(flags.tenant))
      const { diffPolicies } = await import('#policy/compile/diff-policies.ts')
      const [left = [], right = []] = sides
      const diff = diffPolicies(left, right)
      if (!diff.ok) {
        for (const diagnostic of diff.failure) output.note(`${renderDiagnostic(diagnostic)}\n`)
        const details = diff.failure.map(({ file, line, column, message, help }) => {
          return { path: `${file}:${line}:${column}`, message, help }
        })
        const failure = {
          code: 'policy.invalid',
          message: 'policies that can not be read can not be compared',
        }
        throw new CliFailure(EXIT.wrong, failure, output.json ? details : [])
      }
      output.object(diff.value, render(diff.value))
      if (!diff.value.same)
        throw new CliFailure(EXIT.wrong, { code: 'policy.different', message: summary(diff.value) })
    })
}

async function readSides(
  context: CliContext,
  output: Output,
  names: readonly string[],
  tenant: TenantId | undefined,
): Promise<readonly (readonly SourceFile[])[]> {
  const stored = await Promise.all(names.map(isReleaseName))
  const readAll = (store?: { readonly admin: AdminStore; readonly tenant: TenantId }) =>
    Promise.all(
      names.map(async (name, i) => {
        const read =
          store !== undefined && stored[i] === true
            ? await readReleaseFiles(store.admin, store.tenant, name)
            : await readPolicyFolder(name)
        if (!read.ok) throw fromAdmin(read.failure)
        return 'files' in read.value ? read.value.files : read.value
      }),
    )
  if (!stored.includes(true)) return await readAll()
  if (tenant === undefined)
    throw new CliFailure(EXIT.usage, {
      code: 'cli.usage',
      message: 'a release can only be found with its tenant',
      help: 'add `--tenant TENANT`; a folder of that name is `./NAME`',
    })
  return await context.database(output, async ({ store }) => {
    await requireTenant(store, tenant)
    return await readAll({ admin: store, tenant })
  })
}

function render({ added, removed, changed, schema, same }: PolicyDiff): readonly string[] {
  if (same) return ['the same policies and schema']
  return [
    ...schema.map(({ change, declaration }) => `schema ${change}: ${printable(declaration)}`),
    ...removed.map(({ id, effect }) => `removed: ${effect} ${id}`),
    ...added.map(({ id, effect }) => `added: ${effect} ${id}`),
    ...changed.flatMap(({ id, aspects, text }) => [
      `changed: ${id} (${aspects.join(', ')})`,
      ...text.map((line) => `  ${printable(line)}`),
    ]),
  ]
}

function summary({ added, removed, changed, schema }: PolicyDiff): string {
  const counts = [`${added.length} added`, `${removed.length} removed`, `${changed.length} changed`]
  return `policies differ: ${counts.join(', ')}; ${schema.length} changes of the schema`
}
