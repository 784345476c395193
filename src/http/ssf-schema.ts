import { z } from 'zod'

const TEXTS_MAX = 1_000

const streamId = z.string().max(200).meta({ description: 'The stream of this receiver.' })

const delivery = z
  .looseObject({
    method: z.string().meta({ description: '`urn:ietf:rfc:8935` (push) or `urn:ietf:rfc:8936` (poll).' }),
    endpoint_url: z
      .string()
      .nullish()
      .meta({ description: 'Where events are pushed to. Given, for a poll.' }),
    authorization_header: z.string().nullish().meta({
      description: 'Value of the `Authorization` header of pushes. Kept sealed and never told again.',
    }),
  })
  .meta({ description: 'Default: poll.' })

const settings = {
  delivery: delivery.optional(),
  events_requested: z.array(z.string()).max(100).optional().meta({ description: 'Default: all.' }),
  description: z.string().optional().meta({ description: 'Cut off after 500 characters.' }),
}

/** `POST /v1/ssf/stream`. Members that are not the receiver's to set are ignored. */
export const newStreamSchema = z.looseObject(settings).meta({ id: 'NewStream' })

/** `PATCH` and `PUT /v1/ssf/stream`. */
export const streamChangeSchema = z.looseObject({ stream_id: streamId, ...settings }).meta({
  id: 'StreamChange',
})

/** `POST /v1/ssf/status`. */
export const statusChangeSchema = z
  .looseObject({
    stream_id: streamId,
    status: z.enum(['enabled', 'paused', 'disabled']).meta({
      description: '`paused` keeps events up to the bound of the queue, `disabled` drops them.',
    }),
    reason: z.string().optional().meta({ description: 'Cut off after 500 characters.' }),
  })
  .meta({ id: 'StatusChange' })

/** `POST /v1/ssf/verify`. */
export const verificationSchema = z
  .looseObject({
    stream_id: streamId,
    state: z.string().max(2_000).optional().meta({ description: 'Comes back in the event.' }),
  })
  .meta({ id: 'VerificationRequest' })

/** `POST /v1/ssf/poll/{stream}` (RFC 8936 section 2.2). */
export const pollSchema = z
  .looseObject({
    maxEvents: z
      .int()
      .min(0)
      .optional()
      .meta({ description: '0: only acknowledge. At most 64 come at once.' }),
    returnImmediately: z.boolean().default(false).meta({
      description: 'False: where nothing waits, the answer may take 20 seconds.',
    }),
    ack: z
      .array(z.string())
      .max(TEXTS_MAX)
      .default([])
      .meta({ description: '`jti` of tokens that arrived.' }),
    setErrs: z
      .record(z.string(), z.looseObject({ err: z.string(), description: z.string().optional() }))
      .refine((errors) => Object.keys(errors).length <= TEXTS_MAX, `at most ${TEXTS_MAX}`)
      .default({})
      .meta({ description: 'Tokens that can not be taken; they do not come again.' }),
  })
  .meta({ id: 'PollRequest' })
