#pragma once

// The page of websocket_app.cpp. An order is stored in the browser with its key before it is sent,
// and stays there until its outcome is known: neither a reload nor a lost connection doubles it.

inline constexpr const char* kOrderPage = R"html(<!doctype html>
<meta charset="utf-8">
<title>Orders</title>
<form><input id="item"> <button id="order">Order</button> <span id="link"></span></form>
<ul id="orders"></ul>
<script>
const orders = {};  // by key, as in localStorage
for (const [key, order] of Object.entries(localStorage)) orders[key] = JSON.parse(order);
let socket = null, pause = 200;

function show() {
  document.getElementById('orders').replaceChildren(...Object.values(orders).map(order => {
    const line = document.createElement('li');
    line.textContent = `${order.item}: ${order.state}`;
    return line;
  }));
}
function set(key, state) {
  orders[key].state = state;
  localStorage.setItem(key, JSON.stringify(orders[key]));
  show();
}
function send(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}
// The same key and body each time, so it runs once.
function place(key) {
  send({id: key, call: 'order.place', key, body: orders[key].item});
}
function ask(key) {
  send({id: key, outcome: key});
}
// From the local replica: the token says what this session has seen. The replica is waited for, or
// the read is replayed in the primary region.
async function read(reply) {
  const headers = {'homeward-seen': reply.session_token ?? ''};
  const found = await fetch('/orders/' + reply.body, {headers});
  set(reply.id, orders[reply.id].state + (found.ok ? ', read again' : ', not found'));
}
function receive(reply) {
  const later = Math.max(reply.retry_after_ms ?? 0, 500);
  switch (reply.outcome) {
    case 'ok':
      set(reply.id, 'placed, number ' + reply.body);
      read(reply);
      break;
    case 'failed': case 'abandoned': case 'refused':
      set(reply.id, 'not placed: ' + reply.body);
      break;
    case 'in_doubt':
      setTimeout(ask, later, reply.id);
      break;
    default:  // not done so far: not_found, busy, expired, unavailable, no_responders
      setTimeout(place, reply.outcome === 'not_found' ? 0 : later, reply.id);
  }
}
function connect() {
  socket = new WebSocket(location.href.replace('http', 'ws'));
  socket.onopen = () => {
    pause = 200;
    document.getElementById('link').textContent = 'connected';
    for (const key in orders) if (orders[key].state === 'sent') ask(key);
  };
  socket.onmessage = event => receive(JSON.parse(event.data));
  socket.onclose = () => {
    document.getElementById('link').textContent = 'connecting';
    setTimeout(connect, pause = Math.min(2 * pause, 5000));
  };
}
document.querySelector('form').onsubmit = event => {
  event.preventDefault();
  const key = crypto.randomUUID(), input = document.getElementById('item');
  orders[key] = {item: input.value};
  set(key, 'sent');
  input.value = '';
  place(key);
};
show();
connect();
</script>
)html";
