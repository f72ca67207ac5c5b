// An app in JavaScript that emits without anything of ours: one plain JSON event in a message, then
// many as lines of one message. The acknowledgement of JetStream is the guarantee.
const { randomUUID } = require("node:crypto");
const { connect, StringCodec } = require("nats");

const SUBJECT = "homeward.plain.ams.node"; // homeward.plain.<region>.<app>
const ATTEMPTS_MAX = 5;

const view = (order) =>
  JSON.stringify({
    type: "audit",
    actor: "user:42",
    action: "order.view",
    resource: `order:${order}`,
    outcome: "allowed",
  });

// One id for all attempts, so that a second one adds nothing. Random, since all apps of the region
// share the ids of its stream: what the first attempt finds there is somebody else's.
async function emit(stream, data) {
  const msgID = randomUUID();
  for (let attempt = 1; ; attempt++) {
    try {
      const ack = await stream.publish(SUBJECT, data, { msgID });
      return ack.duplicate && attempt === 1 ? emit(stream, data) : ack;
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function main() {
  const connection = await connect({
    servers: process.env.NATS_URL,
    user: process.env.NATS_USER,
    pass: process.env.NATS_PASSWORD,
    // What this app's login may subscribe to; the acknowledgements come there.
    inboxPrefix: "_INBOX.homeward.ams.node",
  });
  const stream = connection.jetstream();
  const text = StringCodec();

  await emit(stream, text.encode(view(0)));

  const lines = Array.from({ length: 100 }, (_, i) => view(i + 1));
  const ack = await emit(stream, text.encode(lines.join("\n") + "\n"));
  console.log(`stream ${ack.stream} has them`);

  await connection.drain();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
