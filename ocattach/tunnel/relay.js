// The far end of a tunnel: frames on stdin and stdout become TCP connections to this machine.
// Run by OpenCode's own runtime, Bun. The protocol is described in frames.py.
"use strict"
const fs = require("node:fs")
const net = require("node:net")
const os = require("node:os")
const [OPEN, OPENED, DATA, WINDOW, EOF, RESET, PING, PONG] = [1, 2, 3, 4, 5, 6, 7, 8]
const HEADER = 9, LARGEST = 65536, CREDIT = 262144, GRANT = 65536, BACKLOG = 33554432, STALL = 20000
const RECEIVE = 131072, SLAB = 524288
const HOSTS = { __proto__: null, "127.0.0.1": ["127.0.0.1"], "::1": ["::1"], localhost: ["127.0.0.1", "::1"], "*": ["127.0.0.1", "::1"] }
const SILENCE = (Number(process.argv[process.argv.length - 1]) || 45) * 1000 // an argument, in seconds, for tests
const { stdout } = process
const connections = new Map()
let blocked = false
let heard = performance.now()

function send(type, id, payload = Buffer.alloc(0)) {
  const frame = Buffer.allocUnsafe(HEADER + payload.length)
  frame[0] = type
  frame.writeUInt32BE(id, 1)
  frame.writeUInt32BE(payload.length, 5)
  frame.set(payload, HEADER)
  if (stdout.write(frame) || blocked) return
  blocked = true
  for (const connection of connections.values()) connection.hold()
}

stdout.on("drain", () => {
  blocked = false
  for (const connection of connections.values()) connection.pump()
})

// Bun goes on reading, and lets nothing else happen, while each read fills its half a megabyte: no pause comes between.
// From a receive buffer smaller than that no read does. Only a foreign function can set one (Bun 1.3).
const mac = process.platform === "darwin"
let libc

function findLibc() {
  const { dlopen } = require("bun:ffi")
  const functions = {
    recv: { args: ["i32", "ptr", "usize", "i32"], returns: "i32" },
    send: { args: ["i32", "ptr", "usize", "i32"], returns: "i32" },
    setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  }
  const musl = `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`
  for (const library of mac ? ["libSystem.dylib"] : ["libc.so.6", musl]) {
    try {
      return dlopen(library, functions).symbols
    } catch {} // the other C library, or none that can be called: it works without, but slower
  }
  return { setsockopt: () => -1, socket: () => -1 }
}

function narrow(socket) {
  libc ??= findLibc()
  const [level, option] = mac ? [0xffff, 0x1002] : [1, 8] // SOL_SOCKET, SO_RCVBUF
  libc.setsockopt(socket._handle?.fd ?? -1, level, option, new Int32Array([RECEIVE]), 4)
}

// Whether this account listens there. A port is free for any account once its daemon has ended, and the first request
// carries the password. Without the kernel's answer and its tables (macOS) it cannot be known. The columns:
// proc_pid_net(5). Two accounts cannot listen on one port.
function isOurs(address, port) {
  const account = findListener(address, port)
  if (account !== undefined) return account === process.geteuid()
  const bytes = address.split(".").map((part) => (+part).toString(16).toUpperCase().padStart(2, "0"))
  const v4 = bytes.reverse().join("")
  const here = address === "::1" ? "0{24}01000000" : `${v4}|0{16}FFFF0000${v4}`
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const listening = new RegExp(`: (?:0{8}|0{32}|${here}):${hex} \\w+:0000 0A \\S+ \\S+ \\S+ +(\\d+) `)
  const tables = ["tcp", "tcp6"].map((name) => `/proc/self/net/${name}`).filter((table) => fs.existsSync(table))
  for (const table of tables) {
    const found = listening.exec(fs.readFileSync(table, "latin1"))
    if (found) return +found[1] === process.geteuid()
  }
  return !tables.length
}

// The account that listens on an address, if the kernel says so (sock_diag(7)). For its tables of /proc it looks through
// the connections of the whole machine, which takes a millisecond and more, however few are shown.
let netlink, asked = 0

function findListener(address, port) {
  libc ??= findLibc()
  netlink ??= mac ? -1 : libc.socket(16, 0o2000003, 4) // AF_NETLINK; SOCK_RAW, SOCK_CLOEXEC; NETLINK_SOCK_DIAG
  if (netlink < 0) return
  const isV4 = net.isIPv4(address)
  const request = Buffer.alloc(72) // struct nlmsghdr, struct inet_diag_req_v2
  request.writeUInt32LE(72, 0)
  request.writeUInt16LE(20, 4) // SOCK_DIAG_BY_FAMILY
  request.writeUInt16LE(1, 6) // NLM_F_REQUEST
  request.writeUInt32LE(++asked, 8)
  request.set(isV4 ? [2, 6] : [10, 6], 16) // AF_INET or AF_INET6; IPPROTO_TCP
  request.writeUInt16BE(port, 24)
  request.set(isV4 ? address.split(".") : [...Array(15).fill(0), 1], 28)
  request.fill(255, 64) // INET_DIAG_NOCOOKIE
  const answer = Buffer.alloc(512) // struct nlmsghdr, struct inet_diag_msg
  if (libc.send(netlink, request, 72, 0) !== 72 || libc.recv(netlink, answer, 512, 64) < 88) return // MSG_DONTWAIT
  const isAnswer = answer.readUInt16LE(4) === 20 && answer.readUInt32LE(8) === asked
  if (isAnswer && answer[17] === 10) return answer.readUInt32LE(80) // TCP_LISTEN: its account
}

class Connection {
  constructor(id, port, hosts, anyones) {
    Object.assign(this, { id, port, anyones, credit: CREDIT, owed: 0, unsent: [], backlog: 0, unwritten: 0 })
    connections.set(id, this)
    this.connect(hosts)
  }

  connect([host, ...others]) {
    const socket = net.connect({ host, port: this.port, allowHalfOpen: true })
    this.socket = socket
    socket._read = () => {} // it would undo every pause of the handle
    socket.on("connect", () => {
      if (!this.anyones && !isOurs(socket.remoteAddress, this.port)) return this.reset("ECONNREFUSED")
      this.connected = true
      socket.setNoDelay(true)
      send(OPENED, this.id)
    })
    socket.on("data", (data) => {
      this.take(data)
      if (this.shut && !socket.readableLength) this.takeRest(socket._handle?.fd)
      this.pump()
    })
    socket.on("end", () => {
      if (this.broken()) return this.reset("ECONNRESET")
      this.farEnded = true
      this.pump()
    })
    socket.on("error", (error) => {
      if (!this.connected && others.length && connections.has(this.id)) this.connect(others)
      else this.reset(error.code)
    })
    socket.on("close", () => {
      if (socket === this.socket && !this.farEnded) this.reset("ECONNRESET")
    })
  }

  take(data) {
    this.unsent.push(data)
    this.backlog += data.length
  }

  // When both ends have ended, Bun reads once and closes. What did not fit is taken from under it.
  takeRest(fd) {
    try {
      for (let size = fd > 0; size && this.backlog < BACKLOG; ) {
        const data = Buffer.allocUnsafe(LARGEST)
        size = fs.readSync(fd, data)
        if (size) this.take(data.subarray(0, size))
      }
    } catch (error) {
      if (error.code !== "EAGAIN") this.reset(error.code)
    }
  }

  // What the socket gave goes out as far as credit and stdout allow; the socket is read again when all of it has.
  pump() {
    while (this.unsent.length && this.credit > 0 && !blocked) {
      const data = this.unsent.shift()
      const size = Math.min(data.length, this.credit, LARGEST)
      if (size < data.length) this.unsent.unshift(data.subarray(size))
      this.credit -= size
      this.backlog -= size
      send(DATA, this.id, data.subarray(0, size))
    }
    if (this.farEnded && !this.unsent.length && !this.sentEnd) {
      this.sentEnd = true
      send(EOF, this.id)
      this.settle()
    } else if (this.full()) this.hold()
    else this.source()?.resume()
  }

  full() {
    return this.unsent.length || this.credit <= 0 || blocked
  }

  // Only the handle can be paused, and not while it reads: what it did then has to be undone first.
  // Once both ends have ended, a pause loses what is unread: so there is none, as far as memory allows.
  hold() {
    if (this.holding) return
    this.holding = true
    if (!this.narrowed) narrow(this.socket)
    this.narrowed = true
    setImmediate(() => {
      this.holding = false
      if (!this.full() || (this.shut && this.backlog < BACKLOG)) return
      this.held = this.shut
      this.source()?.resume()
      this.source()?.pause()
    })
  }

  source() {
    return this.socket._handle
  }

  // After the end of one direction Bun reports no reset and no failed write. Mostly its handle is closed then.
  broken() {
    if (!this.connected) return false
    if (this.sentEnd && this.unwritten && performance.now() - this.moved > STALL) return true
    return (!this.shut || this.held) && !(this.source()?.readyState > 0)
  }

  write(data) {
    if (this.broken()) return this.reset("ECONNRESET")
    if (!this.unwritten++) this.moved = performance.now()
    this.socket.write(data, (error) => {
      if (error) return this.reset(error.code)
      this.unwritten--
      this.moved = performance.now()
      this.owed += data.length
      if (this.owed >= GRANT) {
        const grant = Buffer.alloc(4)
        grant.writeUInt32BE(this.owed)
        this.owed = 0
        if (connections.has(this.id)) send(WINDOW, this.id, grant)
      }
      this.settle()
    })
  }

  // Bun's end() closes both directions and the answer is lost; its handle can shut down one of them.
  settle() {
    if (this.nearEnded && !this.unwritten && !this.shut) {
      this.shut = true
      this.source()?.shutdown()
      this.source()?.resume()
    }
    if (this.sentEnd && this.shut) this.forget()
  }

  forget() {
    connections.delete(this.id)
    this.socket.destroy()
  }

  reset(code) {
    if (!connections.has(this.id)) return
    send(RESET, this.id, Buffer.from(code || "EIO"))
    this.forget()
  }

  abort() {
    connections.delete(this.id)
    this.source()?.terminate()
    this.socket.destroy()
  }
}

// A daemon may listen only on an address of the network. No other machine is ever connected to.
function isHere(host) {
  return net.isIPv4(host) && Object.values(os.networkInterfaces()).flat().some(({ address }) => address === host)
}

function open(id, payload) {
  const host = payload.toString("utf8", 2)
  const hosts = HOSTS[host] ?? (isHere(host) ? [host] : null)
  if (hosts) new Connection(id, payload.readUInt16BE(0), hosts, host === "*")
  else send(RESET, id, Buffer.from("EACCES"))
}

function handle(type, id, payload) {
  const connection = connections.get(id)
  if (type === PING) send(PONG, id, payload)
  else if (type === OPEN) open(id, payload)
  else if (!connection) return
  else if (type === DATA) connection.write(payload)
  else if (type === WINDOW) {
    connection.credit += payload.readUInt32BE(0)
    connection.pump()
  } else if (type === EOF) {
    connection.nearEnded = true
    connection.settle()
  } else if (type === RESET) connection.abort()
}

// What is read stays where it is: frames are parts of a slab, which is freed after the last of them was written.
let slab = Buffer.alloc(0), start = 0, end = 0

function makeRoom() {
  if (slab.length - end >= LARGEST) return
  const rest = slab.subarray(start, end)
  slab = Buffer.allocUnsafeSlow(SLAB)
  rest.copy(slab)
  end -= start
  start = 0
}

function receive(count) {
  heard = performance.now()
  end += count
  while (end - start >= HEADER) {
    const next = start + HEADER + slab.readUInt32BE(start + 5)
    if (next - start > HEADER + LARGEST) process.exit(1)
    if (next > end) return
    handle(slab[start], slab.readUInt32BE(start + 1), slab.subarray(start + HEADER, next))
    start = next
  }
}

// A thread of Bun's that waits in read(2) costs a third of the processor time of process.stdin, and answers sooner.
function read() {
  makeRoom()
  fs.read(0, slab, end, slab.length - end, null, (error, count) => {
    if (error?.code === "EAGAIN") return poll() // another process has made the input non-blocking
    if (error || !count) process.exit(0)
    receive(count)
    read()
  })
}

function poll() {
  for (const event of ["end", "close", "error"]) process.stdin.on(event, () => process.exit(0))
  process.stdin.on("data", (data) => {
    while (data.length) {
      makeRoom()
      const count = data.copy(slab, end)
      receive(count)
      data = data.subarray(count)
    }
  })
}

stdout.on("error", () => process.exit(0))
setInterval(() => {
  if (performance.now() - heard > SILENCE) process.exit(0)
  for (const connection of connections.values()) if (connection.broken()) connection.reset("ECONNRESET")
}, Math.min(2000, SILENCE))
stdout.write("\0ocattach-relay 1\n")
read()
