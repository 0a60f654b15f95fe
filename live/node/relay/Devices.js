// A page that lists devices.
import { graphql } from "relay-runtime";

graphql`
  query DevicesQuery($first: Int!, $after: String, $id: ID!) {
    devices(first: $first, after: $after) @connection(key: "Devices_devices") {
      edges {
        node {
          ...Devices_row
        }
      }
    }
    node(id: $id) {
      ...Devices_row @alias(as: "device")
    }
  }
`;

graphql`
  fragment Devices_row on Device @refetchable(queryName: "DevicesRowQuery") {
    uuid
    name
    lastSeenAt
  }
`;
