import type { Config, ConfigProblem, ListenerName } from '#config.ts'

/** Settings that are valid one by one and would be unsafe together; every problem at once. */
export function unsafeCombinations(config: Config): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (!isLoopback(config.adminListen.host) && !speaksTls(config, 'admin')) {
    problems.push({
      variable: 'WARDER_ADMIN_LISTEN',
      message: `\`${config.adminListen.host}\` can be reached from other machines, and this listener does not speak TLS`,
      help: 'use a loopback address, or set WARDER_TLS_CERT and WARDER_TLS_KEY',
    })
  }
  if (config.pollMilliseconds * 2 > config.freshnessSeconds * 1000) {
    problems.push({
      variable: 'WARDER_POLL_MILLISECONDS',
      message: 'must fit twice into WARDER_FRESHNESS_SECONDS, else a healthy server denies everything',
      help: `set it to at most ${config.freshnessSeconds * 500}`,
    })
  }
  return [...problems, ...incompleteTls(config), ...sharedListeners(config)]
}

/** Whether `host` is reachable from this machine only. Names other than `localhost` count as public. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** Whether `listener` speaks TLS. */
export function speaksTls(config: Config, listener: ListenerName): boolean {
  return config.tlsCertificate !== undefined && config.tlsListeners.includes(listener)
}

function incompleteTls(config: Config): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const need = (variable: string, other: string): void => {
    problems.push({ variable, message: `is missing, and ${other} is of no use without it`, help: 'set both' })
  }
  if (config.tlsCertificate === undefined && config.tlsKey !== undefined)
    need('WARDER_TLS_CERT', 'WARDER_TLS_KEY')
  if (config.tlsKey === undefined && config.tlsCertificate !== undefined)
    need('WARDER_TLS_KEY', 'WARDER_TLS_CERT')
  const isForGateways = speaksTls(config, 'decisions') || speaksTls(config, 'ext_authz')
  // INVARIANT: who asks for client certificates gets them: no listener is left without TLS by a forgotten setting.
  if (config.tlsClientAuthorities !== undefined && !isForGateways)
    need('WARDER_TLS_CERT', 'WARDER_TLS_CLIENT_CA')
  if (config.adminTlsClientAuthorities !== undefined && !speaksTls(config, 'admin'))
    need('WARDER_TLS_CERT', 'WARDER_ADMIN_TLS_CLIENT_CA')
  return problems
}

const LISTENERS = [
  ['WARDER_LISTEN', 'listen'],
  ['WARDER_ADMIN_LISTEN', 'adminListen'],
  ['WARDER_EXT_AUTHZ_LISTEN', 'extAuthzListen'],
] as const

function sharedListeners(config: Config): readonly ConfigProblem[] {
  const seen = new Map<string, string>()
  const problems: ConfigProblem[] = []
  for (const [variable, key] of LISTENERS) {
    const { host, port } = config[key]
    const other = seen.get(`${host}:${port}`)
    if (port !== 0 && other !== undefined) {
      problems.push({
        variable,
        message: `is the same address as ${other}`,
        help: 'give each listener its own',
      })
    }
    seen.set(`${host}:${port}`, variable)
  }
  return problems
}
