// Has graphql-http audit a server, and tells how each audit went; its one argument is JSON.
import { auditServer } from "graphql-http";
import { tell } from "./lines.js";

const { url, token } = JSON.parse(process.argv[2]);

function fetchFn(address, { headers, ...init } = {}) {
  return fetch(address, { ...init, headers: { ...headers, Authorization: `Bearer ${token}` } });
}

for (const { id, name, status, reason } of await auditServer({ url, fetchFn })) tell(status, { id, name, reason });
