// A client of graphql-ws that is connected for as long as there are lines to read; its one argument is JSON.
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { tell } from "./lines.js";
import { operateWith } from "./operations.js";

// `params` go with connection_init, which never comes if they are null; `retries` is how often it connects again.
// `opened` and `connected` are sent as they stand, at a moment at which this client would not; `id` is that of all operations.
const { url, params, retries = 0, opened, connected, id } = JSON.parse(process.argv[2]);

const client = createClient({
  url,
  connectionParams: params ?? (() => new Promise(() => {})),
  webSocketImpl: WebSocket,
  lazy: false,
  onNonLazyError: () => {},
  retryAttempts: retries,
  // By default a server that does not listen yet is not asked again.
  shouldRetry: () => true,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
  ...(id && { generateID: () => id }),
  on: {
    opened: (socket) => opened && socket.send(opened),
    connected(socket) {
      if (connected) socket.send(connected);
      tell("connected");
    },
    closed: ({ code, reason }) => tell("closed", { code, reason }),
  },
});

await operateWith(client);
