import type { Command } from 'commander'
import { type ActivatedRelease, activateRelease, pushRelease } from '#admin/push-release.ts'
import type { CompileOutcome } from '#policy/compile/compile.ts'
import { type CompileFlags, compileDirectory, strictOption } from './compile.ts'
import type { CliContext } from './context.ts'
import { fromAdmin } from './failure.ts'
import { findingsOf, notCompiled, printFindings, requireOk } from './findings.ts'
import { folderArgument } from './folder-argument.ts'
import type { Output } from './output.ts'
import { addDiffCommand } from './policy-diff.ts'
import { addFormatCommand } from './policy-fmt.ts'
import { addPullCommand } from './policy-pull.ts'
import { addRollbackCommand } from './policy-rollback.ts'
import { addTestCommand } from './policy-test.ts'
import { addReleaseCommands } from './release-commands.ts'

/** `warder policy` with all that belongs to it. */
export function addPolicyCommands(program: Command, context: CliContext): void {
  const policy = program.command('policy').description('policies: check, test, publish')
  addCheck(policy, context)
  addTestCommand(policy, context)
  addPush(policy, context)
  addActivate(policy, context)
  addRollbackCommand(policy, context)
  addFormatCommand(policy, context)
  addPullCommand(policy, context)
  addDiffCommand(policy, context)
  addReleaseCommands(policy, context)
}

function addCheck(policy: Command, context: CliContext): void {
  policy
    .command('check')
    .addArgument(folderArgument())
    .addOption(strictOption())
    .description('parse, guard, validate strictly and run the tests; changes nothing')
    .action(async (directory: string, flags: CompileFlags, command: Command) => {
      const output = context.output(command)
      const outcome = await compileDirectory(directory, output, flags)
      printFindings(outcome, output)
      const tests = outcome.tests ?? { total: 0, passed: 0, failures: [] }
      const summary = outcome.ok
        ? `ok: ${outcome.release.policyCount} policies with guardrails, ${tests.passed} tests passed`
        : 'not ok'
      output.object({ ok: outcome.ok, ...findingsOf(outcome), ...releaseOf(outcome), tests }, [summary])
      requireOk(outcome, output)
    })
}

function addPush(policy: Command, context: CliContext): void {
  policy
    .command('push')
    .addArgument(folderArgument())
    .requiredOption('--tenant <tenant>', 'tenant that gets the release')
    .option('--activate', 'make it the active release at once')
    .addOption(strictOption())
    .description('compile the folder and store it as an immutable release')
    .action(
      async (
        directory: string,
        flags: CompileFlags & { readonly tenant: string; readonly activate?: boolean },
        command: Command,
      ) => {
        const output = context.output(command)
        const { tenant, activate = false } = flags
        const outcome = await compileDirectory(directory, output, flags)
        printFindings(outcome, output)
        if (!outcome.ok) throw notCompiled(outcome, output)
        const { release, warnings } = outcome
        await context.database(output, async ({ store }) => {
          const pushed = await pushRelease(store, { tenant, release, activate }, (done, total) =>
            output.progress('store', done, total),
          )
          if (!pushed.ok) throw fromAdmin(pushed.failure)
          const { stored, active, policies, validated } = pushed.value
          noteGuardrails(pushed.value, output)
          const state = [stored ? 'stored' : 'already stored', active ? 'active' : 'not active']
          output.object({ ...pushed.value, warnings }, [
            release.id,
            `${state.join(', ')}; ${policies} policies with guardrails${validated ? '' : '; unvalidated'}`,
          ])
        })
      },
    )
}

function addActivate(policy: Command, context: CliContext): void {
  policy
    .command('activate')
    .argument('<release>', 'release id, or its first eight or more digits')
    .requiredOption('--tenant <tenant>', 'its tenant')
    .description('make a pushed release the active one on every server')
    .action(async (name: string, flags: { readonly tenant: string }, command: Command) => {
      const output = context.output(command)
      await context.database(output, async ({ store }) => {
        const activated = await activateRelease(store, { tenant: flags.tenant, name })
        if (!activated.ok) throw fromAdmin(activated.failure)
        noteGuardrails(activated.value, output)
        output.object({ ...activated.value, active: true }, [`activated ${activated.value.release}`])
      })
    })
}

function noteGuardrails({ guardrails_off: isOff, tenant }: ActivatedRelease, output: Output): void {
  if (!isOff) return
  output.note(
    `warning: this release names no \`Warder\` type, so the shipped guardrails are off for \`${tenant}\``,
  )
}

function releaseOf(outcome: CompileOutcome): object {
  if (!outcome.ok) return {}
  const { id, validated, vocabulary, policyCount } = outcome.release
  return { release: id, validated, vocabulary, policies: policyCount }
}
