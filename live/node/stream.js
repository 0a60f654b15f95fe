// A client of graphql-sse with a connection for each operation; its one argument is JSON.
import { createClient } from "graphql-sse";
import { operateWith } from "./operations.js";

// `retries` is how often it connects again.
const { url, token, retries = 0 } = JSON.parse(process.argv[2]);

const client = createClient({
  url,
  headers: { Authorization: `Bearer ${token}` },
  retryAttempts: retries,
  retry: () => new Promise((resolve) => setTimeout(resolve, 100)),
});

await operateWith(client);
