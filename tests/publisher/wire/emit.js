// An app in JavaScript that emits without anything of ours: one plain JSON event in a message, then
// many as lines of one message. The acknowledgement of JetStream is the guarantee.
const { connect, StringCodec } = require("nats");

const SUBJECT = "homeward.plain.ams.node"; // homeward.plain.<region>.<app>

const view = (order) =>
  JSON.stringify({
    type: "audit",
    actor: "user:42",
    action: "order.view",
    resource: `order:${order}`,
    outcome: "allowed",
  });

async function main() {
  const connection = await connect({
    servers: process.env.NATS_URL,
    // What this app's login may subscribe to; the acknowledgements come there.
    inboxPrefix: "_INBOX.homeward.ams.node",
  });
  const stream = connection.jetstream();
  const text = StringCodec();

  await stream.publish(SUBJECT, text.encode(view(0)));

  const lines = Array.from({ length: 100 }, (_, i) => view(i + 1));
  const ack = await stream.publish(SUBJECT, text.encode(lines.join("\n") + "\n"));
  console.log(`stream ${ack.stream} has them`);

  await connection.drain();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
