"use strict";
// What is typed into the header editor goes with every request: queries and mutations by POST, subscriptions by a WebSocket that
// introduces itself with the token. Nothing is kept: GraphiQL forgets the headers when the page is closed.

const endpoint = new URL(location.pathname, location.href);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

const hello = `# Everything here wants a token: make one on
# the server with “python -m server token ada”,
# and put it into “Headers”, after “Bearer ”.
#
# Then press the round arrow at the lower left:
# it reads the schema, for the documentation and
# for completion. Ctrl-Enter runs this.

query RecentRollouts {
  rollouts(first: 5) {
    nodes {
      id
      image { reference }
      status
    }
  }
}
`;

const headers = JSON.stringify({ Authorization: "Bearer " }, null, 2);

function fetcher(asked, { headers = {}, documentAST } = {}) {
  return isSubscription(documentAST, asked.operationName) ? followed(asked, headers) : posted(asked, headers);
}

function isSubscription(document, name) {
  return (document?.definitions ?? []).some(
    (one) => one.operation === "subscription" && (!name || one.name?.value === name),
  );
}

async function posted(asked, headers) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/graphql-response+json", ...headers },
    body: JSON.stringify(asked),
    credentials: "omit",
  });
  return response.json();
}

async function* followed(asked, headers) {
  const client = graphqlWs.createClient({ url: socket.href, connectionParams: headers, lazy: true, retryAttempts: 0 });
  try {
    yield* client.iterate(asked);
  } finally {
    await client.dispose();
  }
}

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: hello,
    defaultHeaders: headers,
    initialHeaders: headers,
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
  }),
);
