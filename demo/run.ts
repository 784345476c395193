import { maintainer, playScenes } from './scenes.ts'
import { showLog } from './show-log.ts'
import { setStage } from './stage.ts'
import { createStory } from './story.ts'

/** Ends with 0 when everything went as the story says, else with 1; nothing that it started or wrote stays behind. */
const story = createStory(process.stdout)
const undo: (() => Promise<void> | void)[] = []
let ending: Promise<void> | undefined

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown fault'
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`
}

/** Undoes everything, newest first; later calls wait for the first one. */
function tidyUp(): Promise<void> {
  ending ??= (async () => {
    for (const each of undo.toReversed()) await each()
  })()
  return ending
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    process.exitCode = 1
    void tidyUp().finally(() => process.exit())
  })
}

const started = performance.now()
try {
  const stage = await setStage(story, maintainer(story), (each) => undo.push(each))
  await playScenes(stage, story)
  await showLog(stage, story)
} catch (error) {
  story.check(`the demo goes through: ${messageOf(error)}`, false)
} finally {
  await tidyUp()
}
const seconds = ((performance.now() - started) / 1000).toFixed(1)
const kept = story.checks() - story.failures()
process.stdout.write(
  `\n${kept} of ${story.checks()} checks hold, ${seconds} s; everything is stopped and removed\n`,
)
if (story.failures() > 0) process.exitCode = 1
