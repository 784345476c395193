import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'

type Node = { readonly [member: string]: unknown }

const documents = parseAllDocuments(readFileSync('integrations/kubernetes/warder.yaml', 'utf8'))
const objects = documents.map((document) => document.toJS() as Node)

/** The object of this kind and name. */
function objectOf(kind: string, name = 'warder'): unknown {
  return objects.find((each) => each['kind'] === kind && at(each, 'metadata', 'name') === name)
}

/** The member at the end of a path of names and positions. */
function at(node: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (found, member) => (typeof found === 'object' && found !== null ? Reflect.get(found, member) : undefined),
    node,
  )
}

const pod = at(objectOf('StatefulSet'), 'spec', 'template', 'spec')
const container = at(pod, 'containers', 0)

test('every document parses without an error or a warning and is an object that Kubernetes can name', () => {
  expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([])
  for (const each of objects)
    expect(each).toMatchObject({ apiVersion: expect.any(String), metadata: { name: expect.any(String) } })
  expect(objects.map((each) => `${each['apiVersion']} ${each['kind']}`)).toEqual([
    'v1 ServiceAccount',
    'apps/v1 StatefulSet',
    'v1 Service',
    'v1 Service',
    'policy/v1 PodDisruptionBudget',
    'networking.k8s.io/v1 NetworkPolicy',
  ])
})

test('the container has no more rights than it needs: no root, no writable image, no capability, no token', () => {
  expect(pod).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
  })
  expect(container).toMatchObject({
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
  })
})

test('the administrators listener stays on loopback; readiness asks it from inside, liveness never restarts for a database', () => {
  const env = at(container, 'env')
  expect(env).toContainEqual({ name: 'WARDER_ADMIN_LISTEN', value: '127.0.0.1:8181' })
  expect(at(container, 'ports')).not.toContainEqual(expect.objectContaining({ containerPort: 8181 }))
  const ask = { exec: { command: ['node', 'src/main.ts', 'health'] } }
  expect(at(container, 'startupProbe')).toMatchObject(ask)
  expect(at(container, 'readinessProbe')).toMatchObject(ask)
  expect(at(container, 'livenessProbe')).toMatchObject({ tcpSocket: { port: 'decisions' } })
})

test('a stopping pod has time for the wait and for the grace of the server', () => {
  const wait = Number(at(container, 'lifecycle', 'preStop', 'sleep', 'seconds'))
  const graceSeconds = 10
  expect(Number(at(pod, 'terminationGracePeriodSeconds'))).toBeGreaterThan(wait + graceSeconds)
})

test('selectors find the pods, and every named port exists', () => {
  const labels = at(objectOf('StatefulSet'), 'spec', 'template', 'metadata', 'labels')
  const selectors = [
    at(objectOf('StatefulSet'), 'spec', 'selector', 'matchLabels'),
    at(objectOf('Service'), 'spec', 'selector'),
    at(objectOf('Service', 'warder-pods'), 'spec', 'selector'),
    at(objectOf('PodDisruptionBudget'), 'spec', 'selector', 'matchLabels'),
    at(objectOf('NetworkPolicy'), 'spec', 'podSelector', 'matchLabels'),
  ]
  for (const selector of selectors) expect(selector).toEqual(labels)
  expect(at(objectOf('StatefulSet'), 'spec', 'serviceName')).toBe('warder-pods')
  const named = ['decisions', 'ext-authz']
  expect(at(container, 'ports')).toEqual(named.map((name) => expect.objectContaining({ name })))
})

test('only labelled gateways get in, and only to the two ports of gateways', () => {
  expect(at(objectOf('NetworkPolicy'), 'spec')).toMatchObject({
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [{ podSelector: { matchLabels: { 'warder-gateway': 'true' } } }],
        ports: [{ port: 8180 }, { port: 9191 }],
      },
    ],
  })
})

test('every volume that is mounted is there', () => {
  const volumes = [at(pod, 'volumes'), at(objectOf('StatefulSet'), 'spec', 'volumeClaimTemplates')]
  const names = volumes.flatMap((list) =>
    (Array.isArray(list) ? list : []).map((each) => at(each, 'name') ?? at(each, 'metadata', 'name')),
  )
  const mounts = at(container, 'volumeMounts')
  for (const mount of Array.isArray(mounts) ? mounts : []) expect(names).toContain(at(mount, 'name'))
})
