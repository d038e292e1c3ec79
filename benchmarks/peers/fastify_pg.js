// Fastify with pg, a commit per request. node fastify_pg.js PORT URL
const fastify = require('fastify')()
const { Pool } = require('pg')
const { randomUUID } = require('crypto')

const pool = new Pool({ connectionString: process.argv[3], max: 20 })
const schema = {
  body: {
    type: 'object',
    required: ['symbol', 'signal_type', 'confidence', 'price'],
    properties: {
      symbol: { type: 'string', maxLength: 32 }, signal_type: { type: 'string' },
      confidence: { type: 'number', minimum: 0, maximum: 1 }, price: { type: 'number', exclusiveMinimum: 0 },
    },
  },
}

fastify.post('/signals/save', { schema }, async ({ body }) => {
  const id = randomUUID()
  await pool.query({
    name: 'save',
    text: 'INSERT INTO peer_signals (signal_id, symbol, signal_type, confidence, price, document) VALUES ($1,$2,$3,$4,$5,$6)',
    values: [id, body.symbol, body.signal_type, body.confidence, body.price, JSON.stringify(body)],
  })
  return { success: true, signal_id: id }
})

pool.query('CREATE TABLE IF NOT EXISTS peer_signals (id bigserial PRIMARY KEY, signal_id text UNIQUE, symbol text, ' +
  'signal_type text, confidence float8, price float8, document text); ' +
  'CREATE INDEX IF NOT EXISTS peer_by_symbol ON peer_signals (symbol)')
  .then(() => fastify.listen({ port: Number(process.argv[2]), host: '127.0.0.1' }))
