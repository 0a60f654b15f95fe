// Runs the operations that a test asks for, and tells what comes of each by its name.
import { obey, tell } from "./lines.js";

/** With a client of graphql-ws or of graphql-sse. */
export async function operateWith(client) {
  await obey(({ name, ...request }) => client.subscribe(request, sink(name, request)));
}

function sink(name, request) {
  return {
    next(result) {
      // Both clients send this same object again after they lost the connection.
      const cursor = result.data?.rolloutEvents?.cursor;
      if (cursor) request.variables.after = cursor;
      tell("next", { name, ...result });
    },
    error: (error) => tell("error", { name, ...told(error) }),
    complete: () => tell("complete", { name }),
  };
}

function told(error) {
  if (Array.isArray(error)) return { errors: error };
  return { code: error.code, status: error.response?.status, message: error.reason ?? error.message };
}
