/** Resolves in the next turn of the event loop: what others wait for runs before. */
export { setImmediate as nextTurn } from 'node:timers/promises'
