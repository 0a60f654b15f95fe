// An EventSource as browsers have it, with a connection for each operation; its one argument is JSON.
import { EventSource } from "eventsource";
import { obey, tell } from "./lines.js";

const { url, token } = JSON.parse(process.argv[2]);

// The one thing that a browser's cannot: to send a token.
function known(address, { headers, ...init }) {
  return fetch(address, { ...init, headers: { ...headers, Authorization: `Bearer ${token}` } });
}

await obey(({ name, query, variables }) => {
  const asked = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  const source = new EventSource(`${url}?${asked}`, { fetch: known });
  source.addEventListener("next", ({ data, lastEventId }) => tell("next", { name, id: lastEventId, ...JSON.parse(data) }));
  source.addEventListener("error", ({ code, message }) => tell("error", { name, status: code, message }));
  source.addEventListener("complete", () => {
    source.close();
    tell("complete", { name });
  });
});
