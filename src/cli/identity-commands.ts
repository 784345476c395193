import type { Command } from 'commander'
import { readTextFile } from '#admin/policy-folder.ts'
import type { ExplainedRule } from '#identity/explain.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { type CliContext, requireTenant, tenantOf } from './context.ts'
import { CliFailure, EXIT, fromAdmin } from './failure.ts'
import type { Output } from './output.ts'
import { allPages } from './paging.ts'
import { instant } from './values.ts'

interface ExplainFlags {
  readonly tenant: string
  readonly at?: string
}

/** `warder identity explain`. */
export function addIdentityCommands(program: Command, context: CliContext): void {
  program
    .command('identity')
    .description('identity: why a token is believed or not')
    .command('explain')
    .argument('<token-file>', 'file with one JWT access token; it is never shown')
    .requiredOption('--tenant <tenant>', 'tenant that the token is meant for')
    .option('--at <time>', 'judge it as of this time (default: now)', instant)
    .description('say for each rule whether the token passes it')
    .action(async (file: string, flags: ExplainFlags, command: Command) => {
      const output = context.output(command)
      const tenant = tenantOf(flags.tenant)
      const token = await tokenIn(file)
      const issuers: Issuer[] = []
      await context.database(output, async ({ store }) => {
        await requireTenant(store, tenant)
        const pages = allPages(
          (page) => store.listIssuers(tenant, page),
          (row) => row.issuer,
        )
        for await (const page of pages) issuers.push(...page)
      })
      const now = flags.at === undefined ? Date.now() : Date.parse(flags.at)
      const rules = await explain(token, { tenant, issuers, now: now as EpochMilliseconds })
      printRules(output, rules)
    })
}

/** Explains a token with keys fetched for this once. */
export async function explain(
  token: string,
  asked: { readonly tenant: TenantId; readonly issuers: readonly Issuer[]; readonly now: EpochMilliseconds },
): Promise<readonly ExplainedRule[]> {
  const [{ explainToken }, { createKeySets }, { createFetchJwks }, { systemClock }] = await Promise.all([
    import('#identity/explain.ts'),
    import('#identity/key-sets.ts'),
    import('#identity/jwks-fetch.ts'),
    import('#lib/clock.ts'),
  ])
  const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })
  try {
    return await explainToken(token, asked, keys)
  } finally {
    keys.close()
  }
}

/** Prints the rules, and ends the command as wrong when one failed. */
export function printRules(output: Output, rules: readonly ExplainedRule[]): void {
  const line = ({ rule, outcome, code, detail }: ExplainedRule) =>
    [`${outcome.padEnd(8)}${rule}`, ...[code, detail].filter((part) => part !== undefined)].join(': ')
  const failed = rules.find(({ outcome }) => outcome === 'failed')
  output.object({ accepted: failed === undefined, rules }, rules.map(line))
  if (failed?.code === undefined) return
  throw new CliFailure(EXIT.wrong, {
    code: failed.code,
    message: `the token fails the rule \`${failed.rule}\``,
  })
}

/** The token in a file. */
export async function tokenIn(file: string): Promise<string> {
  const text = await readTextFile(file)
  if (!text.ok) throw fromAdmin(text.failure)
  return text.value.trim()
}
