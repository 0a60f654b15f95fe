// What a page follows while it is open.
import { graphql } from "relay-runtime";

graphql`
  subscription FollowingProgressSubscription($id: ID!) {
    rolloutProgress(id: $id) {
      status
    }
  }
`;

graphql`
  subscription FollowingEventsSubscription($id: ID!, $after: String, $connections: [ID!]!) {
    rolloutEvents(id: $id, after: $after) @appendNode(connections: $connections, edgeTypeName: "EventEdge") {
      id
      cursor
      name
    }
  }
`;
