import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import type { Answer } from './protocol.ts'

// What a web framework costs by itself: parses a JSON body and gives it back.

const app = new Hono()
app.post('/echo', async (context) => context.json(await context.req.json()))
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
  const ready: Answer = { say: 'ready', port }
  process.send?.(ready)
})
process.on('disconnect', () => process.exit())
