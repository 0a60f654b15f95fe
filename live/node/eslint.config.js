// What GraphQL's linter asks of schema/schema.graphql: all of its rules for Relay, and of the others those that fit.
import plugin from "@graphql-eslint/eslint-plugin";

const { configs, parser } = plugin;
const schema = new URL("../../schema/schema.graphql", import.meta.url).pathname;

const VERBS =
  "accept|approve|cancel|create|delete|deprecate|disable|enable|hold|label|patch|pause|pin|promote|reject|release|remove|" +
  "replan|replay|reset|restore|resume|retry|revoke|rollBack|rotate|set|start|unblock|update";

const conventions = {
  ScalarTypeDefinition: "PascalCase",
  FieldDefinition: "camelCase",
  InputValueDefinition: "camelCase",
  DirectiveDefinition: "camelCase",
  EnumValueDefinition: "UPPER_CASE",
  EnumTypeDefinition: { style: "PascalCase", forbiddenPatterns: [/^Enum|Enum$/] },
  InterfaceTypeDefinition: { style: "PascalCase", forbiddenPatterns: [/^Interface|Interface$/] },
  ObjectTypeDefinition: { style: "PascalCase", forbiddenPatterns: [/^Type|(Type|Input)$/] },
  InputObjectTypeDefinition: { style: "PascalCase", requiredPattern: /Input$/ },
  UnionTypeDefinition: { style: "PascalCase", requiredPattern: /Result$/ },
  "FieldDefinition[parent.name.value=Query]": { forbiddenPatterns: [/^(fetch|find|get|list|query)[A-Z]|Query$/] },
  "FieldDefinition[parent.name.value=Mutation]": { requiredPattern: new RegExp(`^(${VERBS})[A-Z]`), forbiddenPatterns: [/Mutation$/] },
  "FieldDefinition[parent.name.value=Subscription]": { forbiddenPatterns: [/^(on|subscribe)[A-Z]|Subscription$/] },
};

const everything = {
  types: true,
  rootField: true,
  DirectiveDefinition: true,
  EnumValueDefinition: true,
  FieldDefinition: true,
  InputValueDefinition: true,
};

const ours = {
  "naming-convention": ["error", conventions],
  "require-description": ["error", everything],
  "input-name": ["error", { checkInputType: true, caseSensitiveInputType: false }],
  "no-scalar-result-type-on-mutation": "error",
  // Forwards is how people read; pages backwards would double every statement.
  "relay-arguments": ["error", { includeBoth: false }],
  // A list may be of anything that is never too long for one answer.
  "relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
  // Only what can be asked for by itself has an id.
  "strict-id-in-types": "off",
};

export default [
  {
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": plugin },
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema } } },
    rules: {
      ...configs["flat/schema-recommended"].rules,
      ...configs["flat/schema-relay"].rules,
      ...Object.fromEntries(Object.entries(ours).map(([name, rule]) => [`@graphql-eslint/${name}`, rule])),
    },
  },
];
