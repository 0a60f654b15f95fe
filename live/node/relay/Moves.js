// What people do to rollouts: mutations that say what came of them, and that change what a page lists.
import { graphql } from "relay-runtime";

graphql`
  mutation MovesCreateMutation($input: CreateRolloutInput!, $connections: [ID!]!) {
    createRollout(input: $input) {
      __typename
      ... on CreateRolloutPayload {
        rollout @prependNode(connections: $connections, edgeTypeName: "RolloutEdge") {
          id
          ...Rollouts_row
        }
      }
      ...Moves_refusal @alias(as: "refusal")
    }
  }
`;

graphql`
  mutation MovesPauseMutation($input: PauseRolloutInput!) {
    pauseRollout(input: $input) {
      ... on PauseRolloutPayload {
        rollout {
          ...Rollouts_row
        }
      }
      ... on ConflictError {
        code
      }
      ...Moves_refusal @alias(as: "refusal")
    }
  }
`;

graphql`
  mutation MovesPolicyMutation($input: CreatePolicyInput!) {
    createPolicy(input: $input) {
      ... on CreatePolicyPayload {
        policy {
          ...Rollouts_policy
        }
      }
      ...Moves_refusal @alias(as: "refusal")
    }
  }
`;

graphql`
  fragment Moves_refusal on Error @inline {
    __typename
    code
    message
  }
`;
