import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { changes } from './changes.contract.ts'
import { credentials } from './credentials.contract.ts'
import { decisions } from './decisions.contract.ts'
import { forgeries } from './forgeries.contract.ts'
import type { StartGateway } from './gateway-process.ts'
import { obligations } from './obligations.contract.ts'
import { outages } from './outages.contract.ts'
import { openScene, type Scene } from './scene.ts'

/** What must hold behind every gateway, whatever it is. `name` is for the titles. */
export function gatewayContract(name: string, start: () => StartGateway): void {
  describe(name, () => {
    let scene: Scene
    let opened = false
    beforeAll(async () => {
      scene = await openScene(start())
      opened = true
    })
    afterAll(async () => {
      if (opened) await scene.close()
    })
    beforeEach(() => scene.upstream.forget())

    decisions(() => scene)
    obligations(() => scene)
    credentials(() => scene)
    forgeries(() => scene)
    changes(() => scene)
    outages(() => scene)
  })
}
