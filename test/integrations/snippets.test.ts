import { readdirSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { ALLOW } from '../e2e/scripted-pdp.ts'

/** Folders of files that users copy into their gateways. */
const FOLDERS = 'apisix azure-apim caddy envoy-gateway gateway-api haproxy istio krakend traefik tyk'.split(
  ' ',
)
const files = FOLDERS.flatMap((folder) =>
  readdirSync(`integrations/${folder}`).map((name) => `integrations/${folder}/${name}`),
)
const read = (file: string) => readFileSync(file, 'utf8')

test.each(files)('%s says first how it was tested, or that it was not', (file) => {
  expect(read(file).split('\n').slice(0, 14).join('\n')).toMatch(/Tested (?:end to end )?with|Not run/)
})

test.each(files)('%s lets nothing pass when Warder is not there', (file) => {
  expect(read(file)).not.toMatch(/(?:failOpen|failure_mode_allow|allow_degradation|trustForwardHeader): true/)
  expect(read(file)).not.toMatch(/wgk_/)
})

test.each(files.filter((file) => file.endsWith('.yaml')))('%s is YAML without an error', (file) => {
  const documents = parseAllDocuments(read(file))
  expect(documents.length).toBeGreaterThan(0)
  for (const document of documents) {
    if (!('errors' in document)) throw new Error('empty')
    expect([...document.errors, ...document.warnings]).toEqual([])
  }
})

test('azure-apim/policy.xml closes what it opens', () => {
  const open: string[] = []
  const text = read('integrations/azure-apim/policy.xml').replace(/<!--[\s\S]*?-->/g, '')
  for (const [, close, name = '', empty] of text.matchAll(/<(\/?)([\w-]+)(?:\s[\w-]+="[^"<]*")*\s*(\/?)>/g)) {
    if (close === '/') expect(open.pop()).toBe(name)
    else if (empty === '') open.push(name)
  }
  expect(open).toEqual([])
  expect(text.match(/</g)?.length).toBe(
    [...text.matchAll(/<(\/?)([\w-]+)(?:\s[\w-]+="[^"<]*")*\s*(\/?)>/g)].length,
  )
})

describe('tyk/warder.js', () => {
  interface TykRequest {
    readonly SetHeaders: Record<string, string>
    readonly DeleteHeaders: string[]
    readonly ReturnOverrides: { ResponseCode?: number; ResponseBody?: string }
  }

  /** Runs the plugin with Tyk's two functions standing in; `answer` is what its HTTP client gives. */
  function run(answer: () => string, headers: object = { Authorization: ['Bearer t'] }) {
    const questions: unknown[] = []
    let hook: ((request: TykRequest, session: object) => unknown) | undefined
    class NewMiddleware {
      NewProcessRequest(given: typeof hook): void {
        hook = given
      }
      ReturnData(given: TykRequest): TykRequest {
        return given
      }
    }
    const TykMakeHttpRequest = (question: string) => {
      questions.push(JSON.parse(question))
      return answer()
    }
    runInNewContext(read('integrations/tyk/warder.js'), {
      TykJS: { TykMiddleware: { NewMiddleware } },
      TykMakeHttpRequest,
    })
    const request: TykRequest & object = Object.assign(
      { SetHeaders: {}, DeleteHeaders: [], ReturnOverrides: {} },
      { Headers: headers, Method: 'GET', URL: '/repos?x=1', Scheme: 'http', Body: '' },
    )
    hook?.(request, { meta_data: {} })
    return { request, questions }
  }

  const whole = (changed: object = {}) => ({ Code: 200, Body: '', Headers: listed({ ...ALLOW, ...changed }) })
  const listed = (headers: object) =>
    Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, [value]]])),
    )

  test('passes a whole allow on with what Warder said', () => {
    const { request, questions } = run(() => JSON.stringify(whole({ 'x-agent-purpose': 'read' })))
    expect(request.ReturnOverrides).toEqual({})
    expect(request.SetHeaders).toMatchObject({ 'X-Warder-Agent': 'triage-bot', 'X-Agent-Purpose': 'read' })
    expect(questions).toMatchObject([
      {
        Resource: '/forward-auth',
        Headers: { 'X-Forwarded-Method': 'GET', 'X-Forwarded-Uri': '/repos?x=1' },
      },
    ])
  })

  test('takes the token away when it is to be stripped', () => {
    const { request } = run(() => JSON.stringify(whole({ 'x-warder-authorization': 'strip' })))
    expect(request.DeleteHeaders).toContain('Authorization')
  })

  const refused: readonly (readonly [string, () => string, number])[] = [
    ['a deny', () => JSON.stringify({ ...whole(), Code: 403, Body: '{}' }), 403],
    ['no answer', () => '', 503],
    ['an answer that throws', () => JSON.parse('{'), 503],
    ['null', () => 'null', 503],
    ['204', () => JSON.stringify({ ...whole(), Code: 204 }), 503],
    ['302', () => JSON.stringify({ ...whole(), Code: 302 }), 503],
    ['500', () => JSON.stringify({ ...whole(), Code: 500 }), 503],
    ['401 without a decision', () => JSON.stringify({ Code: 401, Body: '{}', Headers: {} }), 503],
    ...Object.keys(ALLOW).map(
      (name) => [`200 without ${name}`, () => JSON.stringify(whole({ [name]: undefined })), 503] as const,
    ),
  ]
  test.each(refused)('%s is refused', (_what, answer, status) => {
    expect(run(answer).request.ReturnOverrides.ResponseCode).toBe(status)
  })

  test('two tokens are refused unasked', () => {
    const { request, questions } = run(() => JSON.stringify(whole()), {
      Authorization: ['Bearer a', 'Bearer b'],
    })
    expect(request.ReturnOverrides.ResponseCode).toBe(400)
    expect(questions).toEqual([])
  })
})
