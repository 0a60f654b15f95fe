import graphql from "@graphql-eslint/eslint-plugin";
export default [{ files: ["**/*.graphql"], languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: "../../schema/schema.graphql" } } }, plugins: { "@graphql-eslint": graphql },
 rules: { "@graphql-eslint/require-description": ["error", {types: true, rootField: true, DirectiveDefinition: true, FieldDefinition: true, InputValueDefinition: true, EnumValueDefinition: true}] } }];
