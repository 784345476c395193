import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** Instructions with their continued lines joined, comments left out. */
const instructions = readFileSync('Dockerfile', 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '')
const ignored = readFileSync('.dockerignore', 'utf8').split('\n')

/** Arguments of every instruction with this name. */
function argumentsOf(name: string): readonly string[] {
  return instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1))
}

const sources = argumentsOf('COPY')
  .filter((copy) => !copy.startsWith('--from='))
  .flatMap((copy) => copy.split(' ').slice(0, -1))

test('every file that is copied exists and reaches the build', () => {
  expect(sources).toContain('src')
  expect(sources.filter((source) => !existsSync(source))).toEqual([])
  expect(sources.filter((source) => !ignored.includes(`!${source}`))).toEqual([])
})

test('nothing reaches the build unless it is copied', () => {
  expect(ignored.find((line) => line !== '' && !line.startsWith('#'))).toBe('*')
  const included = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
  expect(included.filter((name) => !sources.includes(name))).toEqual([])
})

test('the server runs as an ordinary user, by number, so that Kubernetes can see it', () => {
  expect(argumentsOf('USER')).toEqual(['1000:1000'])
})

test('what listens beyond loopback are the two listeners of gateways, never that of administrators', () => {
  const env = argumentsOf('ENV').join(' ')
  expect(env).toContain('WARDER_ADMIN_LISTEN=127.0.0.1:8181')
  expect(env.match(/0\.0\.0\.0:\d+/g)).toEqual(['0.0.0.0:8180', '0.0.0.0:9191'])
  expect(argumentsOf('EXPOSE')).toEqual(['8180 9191'])
})

test('the compile cache is filled by the user who reads it, after everything is copied', () => {
  const fill = instructions.findIndex((line) => line.includes("import('./src/wire.ts')"))
  expect(fill).toBeGreaterThan(instructions.findIndex((line) => line.startsWith('USER ')))
  expect(fill).toBeGreaterThan(instructions.findLastIndex((line) => line.startsWith('COPY ')))
})

test('packages are those of the lock file, without the ones for development', () => {
  expect(argumentsOf('RUN')[0]).toMatch(/^npm ci --omit=dev && rm -rf node_modules\/node-linux-\*/)
})

test('the base image is Node 24 without a second one', () => {
  expect(argumentsOf('FROM')).toEqual(['node:24-slim AS packages', 'node:24-slim'])
})

test('the process is the server itself, and its health is asked by its own command', () => {
  expect(argumentsOf('CMD')).toEqual(['["node","src/main.ts","serve"]'.replaceAll(',', ', ')])
  expect(argumentsOf('HEALTHCHECK')[0]).toContain('CMD ["node", "src/main.ts", "health"]')
})
