// PM2's view of fleet.json: `pm2 start ecosystem.config.js`, `--only database-service`, `pm2 save` …
// Only what PM2 and `make up` need stands here; names, ports and memory limits come from fleet.json.
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const root = __dirname
const { services } = JSON.parse(fs.readFileSync(path.join(root, 'fleet.json'), 'utf8'))
const python = process.env.FLEET_PYTHON || path.join(root, '.venv', 'bin', 'python')
const varDir = path.resolve(root, setting('VAR_DIR') || 'var')
const logs = path.join(varDir, 'logs')
const firstInstancePort = 5100 // as in shared/fleet.py
const highestPort = 65535
const portOffset = offset() // a second fleet on the same machine, and the tests

if (!fs.existsSync(python)) {
  console.error(`The fleet is not installed yet (${path.relative(root, python)} is missing): run \`make up\`, or \`make install\` and then PM2.`)
  process.exit(1)
}

// nginx (tools/door.py): the one door with DOOR=true, and in any case what holds the port of a service with instances.
// It is then the only proxy, so the services believe what it says of a client's address.
const isDoor = /^(true|t|yes|y|on|1)$/i.test(setting('DOOR'))
const nginx = isDoor || services.some((service) => service.instances > 1)

// What PM2 runs: each service, or its instances. Those listen from 5100 on, and nginx holds the service's own port.
function runs () {
  return services.flatMap((service) => {
    const count = service.instances || 1
    if (count === 1) return [{ service, name: service.name, port: service.port, env: {} }]
    return Array.from({ length: count }, (_, index) => ({
      service,
      name: `${service.name}-${index + 1}`,
      port: firstInstancePort + index,
      env: {
        INSTANCES: String(count),
        INSTANCE: String(index + 1),
        INSTANCE_GROUP: `${service.name}-${service.port + portOffset}`
      }
    }))
  })
}

const byPm2 = /pm2$/.test(process.argv[1] || '')
const home = path.resolve(process.env.PM2_HOME || path.join(os.homedir(), '.pm2'))
const folder = (app) => fs.existsSync(app.pm2_env.pm_cwd) && fs.realpathSync(app.pm2_env.pm_cwd)

// What the PM2 of a home has in its list. Nobody is asked, and no daemon started, where none answers.
function listed (of) {
  const knock = "require('node:net').connect(process.argv[1]).on('connect', () => process.exit(0)).on('error', () => process.exit(1))"
  const quietly = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, PM2_HOME: of } }
  try {
    execFileSync(process.execPath, ['-e', knock, path.join(of, 'rpc.sock')], quietly)
  } catch {
    return []
  }
  const pm2 = path.join(root, 'node_modules', '.bin', 'pm2')
  const printed = execFileSync(process.execPath, [byPm2 ? process.argv[1] : pm2, 'jlist'], quietly)
  return JSON.parse(printed.trim().split('\n').pop())
}

// PM2 knows apps by name alone: started or restarted from here, another clone's would silently move to this clone's
// code and data. `make up` has looked already and says so in FLEET_CHECKED.
function refuseOtherClones () {
  if (!byPm2 || process.env.FLEET_CHECKED) return
  for (const app of listed(home)) {
    const ours = runs().find((run) => run.name === app.name)
    if (!ours || folder(app) === fs.realpathSync(path.join(root, ours.service.name))) continue
    console.error(`PM2 runs ${app.name} of another clone, in ${app.pm2_env.pm_cwd}. Type this there, or set a PM2_HOME of its own and FLEET_PORT_OFFSET for this clone.`)
    process.exit(1)
  }
}
refuseOtherClones()

// A shell without the PM2_HOME of the first start knows nothing of the fleet that runs, and would start a second over
// the same data (on other ports). So whoever starts it leaves its home beside the data.
function refuseSecondFleet () {
  if (!byPm2 && !process.env.FLEET_CHECKED) return // a test, or a tool that only reads
  const note = path.join(varDir, 'pm2-home')
  const first = fs.existsSync(note) ? fs.readFileSync(note, 'utf8').trim() : ''
  const inside = (app) => (folder(app) || '').startsWith(fs.realpathSync(root) + path.sep) && app.pm2_env.VAR_DIR === varDir
  const running = first && first !== home && listed(first).find(inside)
  if (running) {
    const itsOffset = running.pm2_env.PORT - (runs().find((run) => run.name === running.name)?.port ?? NaN)
    const how = `export PM2_HOME=${first}` + (itsOffset >= 0 && itsOffset + portOffset > 0 ? ` FLEET_PORT_OFFSET=${itsOffset}` : '')
    console.error(`This fleet runs already, under another PM2 than this shell's, and two must not share ${varDir}. To go on with it: ${how}`)
    process.exit(1)
  }
  if (!byPm2 || first === home) return
  fs.mkdirSync(varDir, { recursive: true, mode: 0o700 })
  fs.writeFileSync(note, `${home}\n`)
}
refuseSecondFleet()

// A variable of the shell, else of the root's .env; only for what PM2 itself has to know.
function setting (name) {
  const file = path.join(root, '.env')
  const read = !/^false$/i.test(process.env.ENV_FILES || '') && fs.existsSync(file)
  const line = read && fs.readFileSync(file, 'utf8').match(new RegExp(`^\\s*(?:export )?${name}=(.*)$`, 'm'))
  const [, , quoted, plain] = (line ? line[1].trim() : '').match(/^(?:(['"])(.*?)\1|(.*?)(?:(?:^|\s)#.*)?$)/) // as shared/env_files.py
  return process.env[name] || quoted || plain || ''
}

function port (name, usual) {
  const given = setting(name) || usual
  const found = Number(given)
  if (Number.isInteger(found) && found > 0 && found <= highestPort) return found
  console.error(`Wrong setting: ${name}=${given}: must be a port`)
  process.exit(1)
}

function offset () {
  const given = setting('FLEET_PORT_OFFSET') || '0'
  const ports = services.flatMap((service) => [service.port, firstInstancePort + (service.instances || 1) - 1])
  const most = highestPort - Math.max(...ports)
  if (/^\d+$/.test(given) && Number(given) <= most) return Number(given)
  console.error(`Wrong setting: FLEET_PORT_OFFSET=${given}: must be a whole number from 0 to ${most}`)
  process.exit(1)
}

// `pm2 save` writes the environment of every app into a file. So an app gets what it needs to run and the settings
// that its .env.example names, secrets aside: those are the names that also exist as NAME_FILE.
const withheld = new Set()
function passed (service) {
  const names = named(service)
  const secrets = [...names].filter((name) => names.has(`${name}_FILE`))
  for (const name of secrets.filter((name) => process.env[name])) withheld.add(name)
  const settings = [...names].filter((name) => !secrets.includes(name))
  const system = ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TMPDIR', 'TZ', 'SSL_CERT_FILE']
  const given = [...system, ...settings].filter((name) => process.env[name])
  return Object.fromEntries(given.map((name) => [name, process.env[name]]))
}

function named (service) {
  const example = fs.readFileSync(path.join(root, service.name, '.env.example'), 'utf8')
  return new Set([...example.matchAll(/^#?([A-Z][A-Z0-9_]*)=/gm)].map((match) => match[1]))
}

// Services that find each other by a URL follow the offset too, unless the user said where the other one is.
function environment ({ service, port, env: own }) {
  const env = { ...passed(service), ...own, PORT: String(port + portOffset), VAR_DIR: varDir }
  delete env.SERVICE_NAME // one shell starts several services: name and port are the list's
  if (nginx && !setting('TRUSTED_PROXIES')) env.TRUSTED_PROXIES = '127.0.0.1'
  const simulator = services.find((other) => other.name === 'market-simulator')
  if (portOffset && !setting('SIMULATOR_URL')) env.SIMULATOR_URL = `http://127.0.0.1:${simulator.port + portOffset}`
  if (portOffset && named(service).has('SERVICE_URLS')) {
    const moved = services.map((other) => `${other.name}=http://127.0.0.1:${other.port + portOffset}`)
    env.SERVICE_URLS = [...moved, setting('SERVICE_URLS')].join(',') // of two for one name the later counts
  }
  return env
}

function door () {
  const instances = services.find((service) => service.instances > 1)
  const at = isDoor ? port('DOOR_PORT', 80) : instances.port
  const env = environment({ service: { name: '.' }, port: at, env: {} }) // the root's .env.example names its settings
  if (portOffset) env.DOOR_PORT = String(at + portOffset)
  if (portOffset) env.DOOR_TLS_PORT = String(port('DOOR_TLS_PORT', 443) + portOffset)
  return {
    name: 'door',
    cwd: path.join(root, 'deploy'),
    script: python,
    args: ['-m', 'tools.door'],
    interpreter: 'none',
    env: { ...env, PYTHONPATH: root },
    filter_env: [''],
    kill_timeout: 15000,
    exp_backoff_restart_delay: 100,
    out_file: path.join(logs, 'door.out.log'),
    error_file: path.join(logs, 'door.error.log'),
    vizion: false
  }
}

// Where a browser finds the dashboard. With TLS by the name that others use, for which the certificate is made.
function page () {
  if (!isDoor) return `http://localhost:${services.find((service) => service.name === 'dashboard').port + portOffset}/`
  const isTls = setting('TLS_CERTIFICATE') !== ''
  const [scheme, usual] = isTls ? ['https', 443] : ['http', 80]
  const at = port(isTls ? 'DOOR_TLS_PORT' : 'DOOR_PORT', usual) + portOffset
  const host = (isTls && setting('ALLOWED_HOSTS').split(',')[0].trim()) || 'localhost'
  return `${scheme}://${host}${at === usual ? '' : `:${at}`}/`
}

module.exports = {
  portOffset,
  page: page(),
  apps: [...runs().map((run) => ({
    name: run.name,
    cwd: path.join(root, run.service.name),
    script: 'app.py',
    interpreter: python,
    env: environment(run),
    filter_env: [''], // takes away every variable that contains '': what stands in env above is all
    wait_ready: true,
    listen_timeout: 30000,
    kill_timeout: 15000, // PM2's 1.6 s would cut a drain short
    exp_backoff_restart_delay: 100, // alone: with max_restarts or min_uptime an app can wait for ever
    max_memory_restart: `${run.service.max_memory_mb}M`,
    merge_logs: true,
    out_file: path.join(logs, `${run.name}.out.log`), // the services bound these files themselves: shared/log_rotation.py
    error_file: path.join(logs, `${run.name}.error.log`),
    vizion: false // no look at git on every start
  })), ...(nginx ? [door()] : [])]
}

for (const name of withheld) {
  console.error(`${name} of this shell is not passed on: PM2 would save it. Put it into .env, or name a file in ${name}_FILE.`)
}
