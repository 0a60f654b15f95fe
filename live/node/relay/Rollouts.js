// A page that lists rollouts, and shows one of them: connections that are read on, fragments that are read again by id.
import { graphql } from "relay-runtime";

graphql`
  query RolloutsQuery($first: Int!) {
    ...Rollouts_list @arguments(first: $first)
    ...Rollouts_policies
  }
`;

graphql`
  fragment Rollouts_list on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 50 }, after: { type: "String" })
  @refetchable(queryName: "RolloutsPageQuery") {
    rollouts(first: $first, after: $after) @connection(key: "Rollouts_rollouts") {
      totalCount
      edges {
        cursor
        node {
          id
          ...Rollouts_row
        }
      }
    }
  }
`;

graphql`
  fragment Rollouts_row on Rollout {
    number
    status
    policy {
      id
      imagePattern
    }
  }
`;

graphql`
  fragment Rollouts_events on Rollout
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" })
  @refetchable(queryName: "RolloutsEventsQuery") {
    events(first: $first, after: $after) @connection(key: "Rollouts_events") {
      edges {
        node {
          id
          name
        }
      }
    }
  }
`;

graphql`
  fragment Rollouts_policies on Query {
    policies(first: 100) {
      nodes {
        id
        ...Rollouts_policy
      }
    }
  }
`;

graphql`
  fragment Rollouts_policy on Policy
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" })
  @refetchable(queryName: "RolloutsPolicyQuery") {
    imagePattern
    rollouts(first: $first, after: $after) @connection(key: "Rollouts_policy_rollouts") {
      edges {
        node {
          ...Rollouts_row
        }
      }
    }
  }
`;

graphql`
  query RolloutsOneQuery($id: ID!, $others: [ID!]!) {
    node(id: $id) {
      __typename
      ...Rollouts_row @alias(as: "rollout")
      ...Rollouts_events @alias(as: "events")
      ...Rollouts_policy @alias(as: "policy")
    }
    nodes(ids: $others) {
      id
      ...Rollouts_row @alias(as: "rollout")
    }
  }
`;
