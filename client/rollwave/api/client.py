from collections.abc import AsyncIterator
from typing import Any, Optional, Union
from uuid import UUID

from .approve_rollout import (
    ApproveRollout,
    ApproveRolloutApproveRolloutApproveRolloutPayload,
    ApproveRolloutApproveRolloutConflictError,
    ApproveRolloutApproveRolloutInvalidInputError,
    ApproveRolloutApproveRolloutNotFoundError,
)
from .async_base_client import AsyncBaseClient
from .base_model import UNSET, UnsetType
from .cancel_rollout import (
    CancelRollout,
    CancelRolloutCancelRolloutCancelRolloutPayload,
    CancelRolloutCancelRolloutConflictError,
    CancelRolloutCancelRolloutInvalidInputError,
    CancelRolloutCancelRolloutNotFoundError,
)
from .check import Check, CheckRollouts
from .create_policy import (
    CreatePolicy,
    CreatePolicyCreatePolicyConflictError,
    CreatePolicyCreatePolicyCreatePolicyPayload,
    CreatePolicyCreatePolicyInvalidInputError,
    CreatePolicyCreatePolicyNotFoundError,
)
from .create_rollout import (
    CreateRollout,
    CreateRolloutCreateRolloutConflictError,
    CreateRolloutCreateRolloutCreateRolloutPayload,
    CreateRolloutCreateRolloutInvalidInputError,
    CreateRolloutCreateRolloutNotFoundError,
)
from .delete_policy import (
    DeletePolicy,
    DeletePolicyDeletePolicyConflictError,
    DeletePolicyDeletePolicyDeletePolicyPayload,
    DeletePolicyDeletePolicyInvalidInputError,
    DeletePolicyDeletePolicyNotFoundError,
)
from .device import Device, DeviceDevice
from .devices import Devices, DevicesDevices
from .disable_policy import (
    DisablePolicy,
    DisablePolicyDisablePolicyConflictError,
    DisablePolicyDisablePolicyDisablePolicyPayload,
    DisablePolicyDisablePolicyInvalidInputError,
    DisablePolicyDisablePolicyNotFoundError,
)
from .enable_policy import (
    EnablePolicy,
    EnablePolicyEnablePolicyConflictError,
    EnablePolicyEnablePolicyEnablePolicyPayload,
    EnablePolicyEnablePolicyInvalidInputError,
    EnablePolicyEnablePolicyNotFoundError,
)
from .find_policy import FindPolicy, FindPolicyPolicy
from .find_rollout import FindRollout, FindRolloutRollout
from .input_types import (
    ApproveRolloutInput,
    CancelRolloutInput,
    CreatePolicyInput,
    CreateRolloutInput,
    DeletePolicyInput,
    DeviceFilterInput,
    DisablePolicyInput,
    EnablePolicyInput,
    PauseRolloutInput,
    PolicyFilterInput,
    PromoteRolloutInput,
    RejectRolloutInput,
    ResumeRolloutInput,
    RetryRolloutInput,
    RollBackRolloutInput,
    RolloutFilterInput,
    StartRolloutInput,
    UnblockReleaseInput,
)
from .pause_rollout import (
    PauseRollout,
    PauseRolloutPauseRolloutConflictError,
    PauseRolloutPauseRolloutInvalidInputError,
    PauseRolloutPauseRolloutNotFoundError,
    PauseRolloutPauseRolloutPauseRolloutPayload,
)
from .policies import Policies, PoliciesPolicies
from .policy import Policy, PolicyPolicy
from .preview_rollout import (
    PreviewRollout,
    PreviewRolloutPreviewRolloutConflictError,
    PreviewRolloutPreviewRolloutInvalidInputError,
    PreviewRolloutPreviewRolloutNotFoundError,
    PreviewRolloutPreviewRolloutRolloutPreview,
)
from .promote_rollout import (
    PromoteRollout,
    PromoteRolloutPromoteRolloutConflictError,
    PromoteRolloutPromoteRolloutInvalidInputError,
    PromoteRolloutPromoteRolloutNotFoundError,
    PromoteRolloutPromoteRolloutPromoteRolloutPayload,
)
from .reject_rollout import (
    RejectRollout,
    RejectRolloutRejectRolloutConflictError,
    RejectRolloutRejectRolloutInvalidInputError,
    RejectRolloutRejectRolloutNotFoundError,
    RejectRolloutRejectRolloutRejectRolloutPayload,
)
from .resume_rollout import (
    ResumeRollout,
    ResumeRolloutResumeRolloutConflictError,
    ResumeRolloutResumeRolloutInvalidInputError,
    ResumeRolloutResumeRolloutNotFoundError,
    ResumeRolloutResumeRolloutResumeRolloutPayload,
)
from .retry_rollout import (
    RetryRollout,
    RetryRolloutRetryRolloutConflictError,
    RetryRolloutRetryRolloutInvalidInputError,
    RetryRolloutRetryRolloutNotFoundError,
    RetryRolloutRetryRolloutRetryRolloutPayload,
)
from .roll_back_rollout import (
    RollBackRollout,
    RollBackRolloutRollBackRolloutConflictError,
    RollBackRolloutRollBackRolloutInvalidInputError,
    RollBackRolloutRollBackRolloutNotFoundError,
    RollBackRolloutRollBackRolloutRollBackRolloutPayload,
)
from .rollout import Rollout, RolloutRollout
from .rollout_progress import RolloutProgress, RolloutProgressRolloutProgress
from .rollouts import Rollouts, RolloutsRollouts
from .start_rollout import (
    StartRollout,
    StartRolloutStartRolloutConflictError,
    StartRolloutStartRolloutInvalidInputError,
    StartRolloutStartRolloutNotFoundError,
    StartRolloutStartRolloutStartRolloutPayload,
)
from .unblock_release import (
    UnblockRelease,
    UnblockReleaseUnblockReleaseConflictError,
    UnblockReleaseUnblockReleaseInvalidInputError,
    UnblockReleaseUnblockReleaseNotFoundError,
    UnblockReleaseUnblockReleaseUnblockReleasePayload,
)


def gql(q: str) -> str:
    return q


class Api(AsyncBaseClient):
    async def check(self, **kwargs: Any) -> CheckRollouts:
        query = gql("""
            query Check {
              rollouts(first: 1) {
                nodes {
                  id
                }
              }
            }
            """)
        variables: dict[str, object] = {}
        response = await self.execute(query=query, operation_name="Check", variables=variables, **kwargs)
        data = self.get_data(response)
        return Check.model_validate(data).rollouts

    async def devices(
        self,
        first: int,
        after: Union[Optional[str], UnsetType] = UNSET,
        filter_: Union[Optional[DeviceFilterInput], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> DevicesDevices:
        query = gql("""
            query Devices($first: Int!, $after: String, $filter: DeviceFilterInput) {
              devices(first: $first, after: $after, filter: $filter) {
                nodes {
                  ...DeviceLine
                }
                pageInfo {
                  hasNextPage
                  endCursor
                }
              }
            }

            fragment DeviceLine on Device {
              id
              uuid
              name
              type
              fleet {
                name
              }
              labels
              standing
              online
              inSync
              lastSeenAt
              aside {
                kind
                reason
                until
              }
            }
            """)
        variables: dict[str, object] = {
            "first": first,
            "after": after,
            "filter": filter_,
        }
        response = await self.execute(query=query, operation_name="Devices", variables=variables, **kwargs)
        data = self.get_data(response)
        return Devices.model_validate(data).devices

    async def device(
        self,
        id: Union[Optional[str], UnsetType] = UNSET,
        uuid: Union[Optional[UUID], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> Optional[DeviceDevice]:
        query = gql("""
            query Device($id: ID, $uuid: UUID) {
              device(id: $id, uuid: $uuid) {
                ...DeviceLine
                createdAt
                version
                targetState {
                  version
                  apps
                  config
                }
                currentState {
                  version
                  reportedAt
                  apps
                }
                differences {
                  app
                  service
                  kind
                  wanted
                  running
                  status
                }
                explain {
                  at
                  sentences
                  services {
                    app
                    service
                    image
                    status
                    since
                    until
                    sentences
                    rollout {
                      number
                    }
                  }
                }
              }
            }

            fragment DeviceLine on Device {
              id
              uuid
              name
              type
              fleet {
                name
              }
              labels
              standing
              online
              inSync
              lastSeenAt
              aside {
                kind
                reason
                until
              }
            }
            """)
        variables: dict[str, object] = {"id": id, "uuid": uuid}
        response = await self.execute(query=query, operation_name="Device", variables=variables, **kwargs)
        data = self.get_data(response)
        return Device.model_validate(data).device

    async def policies(
        self,
        first: int,
        after: Union[Optional[str], UnsetType] = UNSET,
        filter_: Union[Optional[PolicyFilterInput], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> PoliciesPolicies:
        query = gql("""
            query Policies($first: Int!, $after: String, $filter: PolicyFilterInput) {
              policies(first: $first, after: $after, filter: $filter) {
                nodes {
                  ...PolicyLine
                }
                pageInfo {
                  hasNextPage
                  endCursor
                }
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }
            """)
        variables: dict[str, object] = {
            "first": first,
            "after": after,
            "filter": filter_,
        }
        response = await self.execute(query=query, operation_name="Policies", variables=variables, **kwargs)
        data = self.get_data(response)
        return Policies.model_validate(data).policies

    async def policy(
        self,
        id: Union[Optional[str], UnsetType] = UNSET,
        number: Union[Optional[int], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> Optional[PolicyPolicy]:
        query = gql("""
            query Policy($id: ID, $number: Int) {
              policy(id: $id, number: $number) {
                ...PolicyLine
                stagedBatches
                batchDelayMinutes
                stages {
                  sharePercent
                  devices
                  delayMinutes
                  soakMinutes
                  maxFailureRate
                  minOutcomes
                  manualPromotion
                  canaries
                  checks
                }
                healthCheckEnabled
                soakMinutes
                deadlineMinutes
                pickupMinutes
                stepMinutes
                watchMinutes
                autoRollbackEnabled
                rollbackMode
                maxFailureRate
                minOutcomes
                approvals
                approvedImagesOnly
                schedule {
                  notBefore
                  notAfter
                  timezone
                  timezoneLabel
                  windows {
                    cron
                    minutes
                    timezone
                  }
                }
                tags {
                  include
                  exclude
                  moving
                  order
                  level
                  range
                  regex
                  prereleases
                  sameVariant
                }
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }
            """)
        variables: dict[str, object] = {"id": id, "number": number}
        response = await self.execute(query=query, operation_name="Policy", variables=variables, **kwargs)
        data = self.get_data(response)
        return Policy.model_validate(data).policy

    async def find_policy(
        self,
        id: Union[Optional[str], UnsetType] = UNSET,
        number: Union[Optional[int], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> Optional[FindPolicyPolicy]:
        query = gql("""
            query FindPolicy($id: ID, $number: Int) {
              policy(id: $id, number: $number) {
                id
                number
                imagePattern
              }
            }
            """)
        variables: dict[str, object] = {"id": id, "number": number}
        response = await self.execute(query=query, operation_name="FindPolicy", variables=variables, **kwargs)
        data = self.get_data(response)
        return FindPolicy.model_validate(data).policy

    async def create_policy(
        self, input: CreatePolicyInput, **kwargs: Any
    ) -> Union[
        CreatePolicyCreatePolicyConflictError,
        CreatePolicyCreatePolicyCreatePolicyPayload,
        CreatePolicyCreatePolicyInvalidInputError,
        CreatePolicyCreatePolicyNotFoundError,
    ]:
        query = gql("""
            mutation CreatePolicy($input: CreatePolicyInput!) {
              createPolicy(input: $input) {
                __typename
                ... on CreatePolicyPayload {
                  policy {
                    ...PolicyLine
                  }
                }
                ...Refusal
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }

            fragment Refusal on Error {
              code
              message
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="CreatePolicy", variables=variables, **kwargs)
        data = self.get_data(response)
        return CreatePolicy.model_validate(data).create_policy

    async def enable_policy(
        self, input: EnablePolicyInput, **kwargs: Any
    ) -> Union[
        EnablePolicyEnablePolicyConflictError,
        EnablePolicyEnablePolicyEnablePolicyPayload,
        EnablePolicyEnablePolicyInvalidInputError,
        EnablePolicyEnablePolicyNotFoundError,
    ]:
        query = gql("""
            mutation EnablePolicy($input: EnablePolicyInput!) {
              enablePolicy(input: $input) {
                __typename
                ... on EnablePolicyPayload {
                  policy {
                    ...PolicyLine
                  }
                }
                ...Refusal
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }

            fragment Refusal on Error {
              code
              message
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="EnablePolicy", variables=variables, **kwargs)
        data = self.get_data(response)
        return EnablePolicy.model_validate(data).enable_policy

    async def disable_policy(
        self, input: DisablePolicyInput, **kwargs: Any
    ) -> Union[
        DisablePolicyDisablePolicyConflictError,
        DisablePolicyDisablePolicyDisablePolicyPayload,
        DisablePolicyDisablePolicyInvalidInputError,
        DisablePolicyDisablePolicyNotFoundError,
    ]:
        query = gql("""
            mutation DisablePolicy($input: DisablePolicyInput!) {
              disablePolicy(input: $input) {
                __typename
                ... on DisablePolicyPayload {
                  policy {
                    ...PolicyLine
                  }
                }
                ...Refusal
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }

            fragment Refusal on Error {
              code
              message
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="DisablePolicy", variables=variables, **kwargs)
        data = self.get_data(response)
        return DisablePolicy.model_validate(data).disable_policy

    async def delete_policy(
        self, input: DeletePolicyInput, **kwargs: Any
    ) -> Union[
        DeletePolicyDeletePolicyConflictError,
        DeletePolicyDeletePolicyDeletePolicyPayload,
        DeletePolicyDeletePolicyInvalidInputError,
        DeletePolicyDeletePolicyNotFoundError,
    ]:
        query = gql("""
            mutation DeletePolicy($input: DeletePolicyInput!) {
              deletePolicy(input: $input) {
                __typename
                ... on DeletePolicyPayload {
                  policy {
                    ...PolicyLine
                  }
                }
                ...Refusal
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }

            fragment Refusal on Error {
              code
              message
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="DeletePolicy", variables=variables, **kwargs)
        data = self.get_data(response)
        return DeletePolicy.model_validate(data).delete_policy

    async def unblock_release(
        self, input: UnblockReleaseInput, **kwargs: Any
    ) -> Union[
        UnblockReleaseUnblockReleaseConflictError,
        UnblockReleaseUnblockReleaseInvalidInputError,
        UnblockReleaseUnblockReleaseNotFoundError,
        UnblockReleaseUnblockReleaseUnblockReleasePayload,
    ]:
        query = gql("""
            mutation UnblockRelease($input: UnblockReleaseInput!) {
              unblockRelease(input: $input) {
                __typename
                ... on UnblockReleasePayload {
                  wasBlocked
                  policy {
                    ...PolicyLine
                  }
                }
                ...Refusal
              }
            }

            fragment PolicyLine on Policy {
              id
              number
              enabled
              imagePattern
              updateStrategy
              fleet {
                name
              }
              devices
              priority
              version
              createdAt
              updatedAt
              deletedAt
            }

            fragment Refusal on Error {
              code
              message
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="UnblockRelease", variables=variables, **kwargs)
        data = self.get_data(response)
        return UnblockRelease.model_validate(data).unblock_release

    async def rollouts(
        self,
        first: int,
        after: Union[Optional[str], UnsetType] = UNSET,
        filter_: Union[Optional[RolloutFilterInput], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> RolloutsRollouts:
        query = gql("""
            query Rollouts($first: Int!, $after: String, $filter: RolloutFilterInput) {
              rollouts(first: $first, after: $after, filter: $filter) {
                nodes {
                  ...RolloutLine
                }
                pageInfo {
                  hasNextPage
                  endCursor
                }
              }
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {
            "first": first,
            "after": after,
            "filter": filter_,
        }
        response = await self.execute(query=query, operation_name="Rollouts", variables=variables, **kwargs)
        data = self.get_data(response)
        return Rollouts.model_validate(data).rollouts

    async def rollout(
        self,
        id: Union[Optional[str], UnsetType] = UNSET,
        number: Union[Optional[int], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> Optional[RolloutRollout]:
        query = gql("""
            query Rollout($id: ID, $number: Int) {
              rollout(id: $id, number: $number) {
                ...RolloutLine
                images {
                  reference
                }
                byHand
                approvalsRequired
                approvedBy
                checksum
                batches {
                  number
                  plannedDevices
                  offeredDevices
                  startedAt
                  completedAt
                }
                progress {
                  ...Progress
                }
                failed: devices(first: 10, status: [FAILED, UNHEALTHY, REFUSED, TIMED_OUT]) {
                  nodes {
                    ...DeviceInRollout
                  }
                }
                takenBack: devices(first: 50, status: [RETRYING, ROLLING_BACK, ROLLED_BACK]) {
                  nodes {
                    ...DeviceInRollout
                  }
                }
                explain {
                  waitsFor
                  sentence
                  until
                  cause
                }
              }
            }

            fragment DeviceInRollout on RolloutDevice {
              deviceUuid
              device {
                name
              }
              status
              outcomeAt
              reason
            }

            fragment Progress on RolloutProgress {
              at
              status
              reason
              revision
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              failureRate
              devices {
                pending
                deferred
                scheduled
                updating
                updated
                healthy
                failed
                unhealthy
                refused
                timedOut
                retrying
                rollingBack
                rolledBack
                skipped
              }
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"id": id, "number": number}
        response = await self.execute(query=query, operation_name="Rollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return Rollout.model_validate(data).rollout

    async def find_rollout(
        self,
        id: Union[Optional[str], UnsetType] = UNSET,
        number: Union[Optional[int], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> Optional[FindRolloutRollout]:
        query = gql("""
            query FindRollout($id: ID, $number: Int) {
              rollout(id: $id, number: $number) {
                id
                number
                currentBatch
                checksum
                plan {
                  healthCheckEnabled
                }
              }
            }
            """)
        variables: dict[str, object] = {"id": id, "number": number}
        response = await self.execute(query=query, operation_name="FindRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return FindRollout.model_validate(data).rollout

    async def preview_rollout(
        self,
        policy: str,
        image: str,
        also: Union[Optional[list[str]], UnsetType] = UNSET,
        **kwargs: Any,
    ) -> Union[
        PreviewRolloutPreviewRolloutConflictError,
        PreviewRolloutPreviewRolloutInvalidInputError,
        PreviewRolloutPreviewRolloutNotFoundError,
        PreviewRolloutPreviewRolloutRolloutPreview,
    ]:
        query = gql("""
            query PreviewRollout($policy: ID!, $image: ImageReference!, $also: [ImageReference!]) {
              previewRollout(policy: $policy, image: $image, also: $also) {
                __typename
                ... on RolloutPreview {
                  at
                  refusal
                  images {
                    reference
                  }
                  totalDevices
                  approvalsRequired
                  checksum
                  notBefore
                  notAfter
                  batches {
                    number
                    devices
                  }
                  leftOutDevices
                  leftOut {
                    reason
                    devices
                    first {
                      deviceUuid
                      name
                      sentence
                    }
                  }
                  finish {
                    likely
                    late
                    basis
                    whyNot
                  }
                  supersedes {
                    number
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }
            """)
        variables: dict[str, object] = {"policy": policy, "image": image, "also": also}
        response = await self.execute(query=query, operation_name="PreviewRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return PreviewRollout.model_validate(data).preview_rollout

    async def create_rollout(
        self, input: CreateRolloutInput, **kwargs: Any
    ) -> Union[
        CreateRolloutCreateRolloutConflictError,
        CreateRolloutCreateRolloutCreateRolloutPayload,
        CreateRolloutCreateRolloutInvalidInputError,
        CreateRolloutCreateRolloutNotFoundError,
    ]:
        query = gql("""
            mutation CreateRollout($input: CreateRolloutInput!) {
              createRollout(input: $input) {
                __typename
                ... on CreateRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="CreateRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return CreateRollout.model_validate(data).create_rollout

    async def start_rollout(
        self, input: StartRolloutInput, **kwargs: Any
    ) -> Union[
        StartRolloutStartRolloutConflictError,
        StartRolloutStartRolloutInvalidInputError,
        StartRolloutStartRolloutNotFoundError,
        StartRolloutStartRolloutStartRolloutPayload,
    ]:
        query = gql("""
            mutation StartRollout($input: StartRolloutInput!) {
              startRollout(input: $input) {
                __typename
                ... on StartRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="StartRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return StartRollout.model_validate(data).start_rollout

    async def approve_rollout(
        self, input: ApproveRolloutInput, **kwargs: Any
    ) -> Union[
        ApproveRolloutApproveRolloutApproveRolloutPayload,
        ApproveRolloutApproveRolloutConflictError,
        ApproveRolloutApproveRolloutInvalidInputError,
        ApproveRolloutApproveRolloutNotFoundError,
    ]:
        query = gql("""
            mutation ApproveRollout($input: ApproveRolloutInput!) {
              approveRollout(input: $input) {
                __typename
                ... on ApproveRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="ApproveRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return ApproveRollout.model_validate(data).approve_rollout

    async def reject_rollout(
        self, input: RejectRolloutInput, **kwargs: Any
    ) -> Union[
        RejectRolloutRejectRolloutConflictError,
        RejectRolloutRejectRolloutInvalidInputError,
        RejectRolloutRejectRolloutNotFoundError,
        RejectRolloutRejectRolloutRejectRolloutPayload,
    ]:
        query = gql("""
            mutation RejectRollout($input: RejectRolloutInput!) {
              rejectRollout(input: $input) {
                __typename
                ... on RejectRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="RejectRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return RejectRollout.model_validate(data).reject_rollout

    async def promote_rollout(
        self, input: PromoteRolloutInput, **kwargs: Any
    ) -> Union[
        PromoteRolloutPromoteRolloutConflictError,
        PromoteRolloutPromoteRolloutInvalidInputError,
        PromoteRolloutPromoteRolloutNotFoundError,
        PromoteRolloutPromoteRolloutPromoteRolloutPayload,
    ]:
        query = gql("""
            mutation PromoteRollout($input: PromoteRolloutInput!) {
              promoteRollout(input: $input) {
                __typename
                ... on PromoteRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="PromoteRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return PromoteRollout.model_validate(data).promote_rollout

    async def pause_rollout(
        self, input: PauseRolloutInput, **kwargs: Any
    ) -> Union[
        PauseRolloutPauseRolloutConflictError,
        PauseRolloutPauseRolloutInvalidInputError,
        PauseRolloutPauseRolloutNotFoundError,
        PauseRolloutPauseRolloutPauseRolloutPayload,
    ]:
        query = gql("""
            mutation PauseRollout($input: PauseRolloutInput!) {
              pauseRollout(input: $input) {
                __typename
                ... on PauseRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="PauseRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return PauseRollout.model_validate(data).pause_rollout

    async def resume_rollout(
        self, input: ResumeRolloutInput, **kwargs: Any
    ) -> Union[
        ResumeRolloutResumeRolloutConflictError,
        ResumeRolloutResumeRolloutInvalidInputError,
        ResumeRolloutResumeRolloutNotFoundError,
        ResumeRolloutResumeRolloutResumeRolloutPayload,
    ]:
        query = gql("""
            mutation ResumeRollout($input: ResumeRolloutInput!) {
              resumeRollout(input: $input) {
                __typename
                ... on ResumeRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="ResumeRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return ResumeRollout.model_validate(data).resume_rollout

    async def retry_rollout(
        self, input: RetryRolloutInput, **kwargs: Any
    ) -> Union[
        RetryRolloutRetryRolloutConflictError,
        RetryRolloutRetryRolloutInvalidInputError,
        RetryRolloutRetryRolloutNotFoundError,
        RetryRolloutRetryRolloutRetryRolloutPayload,
    ]:
        query = gql("""
            mutation RetryRollout($input: RetryRolloutInput!) {
              retryRollout(input: $input) {
                __typename
                ... on RetryRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="RetryRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return RetryRollout.model_validate(data).retry_rollout

    async def cancel_rollout(
        self, input: CancelRolloutInput, **kwargs: Any
    ) -> Union[
        CancelRolloutCancelRolloutCancelRolloutPayload,
        CancelRolloutCancelRolloutConflictError,
        CancelRolloutCancelRolloutInvalidInputError,
        CancelRolloutCancelRolloutNotFoundError,
    ]:
        query = gql("""
            mutation CancelRollout($input: CancelRolloutInput!) {
              cancelRollout(input: $input) {
                __typename
                ... on CancelRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="CancelRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return CancelRollout.model_validate(data).cancel_rollout

    async def roll_back_rollout(
        self, input: RollBackRolloutInput, **kwargs: Any
    ) -> Union[
        RollBackRolloutRollBackRolloutConflictError,
        RollBackRolloutRollBackRolloutInvalidInputError,
        RollBackRolloutRollBackRolloutNotFoundError,
        RollBackRolloutRollBackRolloutRollBackRolloutPayload,
    ]:
        query = gql("""
            mutation RollBackRollout($input: RollBackRolloutInput!) {
              rollBackRollout(input: $input) {
                __typename
                ... on RollBackRolloutPayload {
                  rollout {
                    ...RolloutLine
                  }
                }
                ...Refusal
              }
            }

            fragment Refusal on Error {
              code
              message
            }

            fragment RolloutLine on Rollout {
              id
              number
              status
              reason
              image {
                reference
              }
              policy {
                number
              }
              fleet {
                name
              }
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              revision
              createdAt
              startedAt
              finishedAt
            }
            """)
        variables: dict[str, object] = {"input": input}
        response = await self.execute(query=query, operation_name="RollBackRollout", variables=variables, **kwargs)
        data = self.get_data(response)
        return RollBackRollout.model_validate(data).roll_back_rollout

    async def rollout_progress(self, id: str, **kwargs: Any) -> AsyncIterator[RolloutProgressRolloutProgress]:
        query = gql("""
            subscription RolloutProgress($id: ID!) {
              rolloutProgress(id: $id) {
                ...Progress
              }
            }

            fragment Progress on RolloutProgress {
              at
              status
              reason
              revision
              currentBatch
              totalBatches
              offeredDevices
              totalDevices
              failureRate
              devices {
                pending
                deferred
                scheduled
                updating
                updated
                healthy
                failed
                unhealthy
                refused
                timedOut
                retrying
                rollingBack
                rolledBack
                skipped
              }
            }
            """)
        variables: dict[str, object] = {"id": id}
        async for data in self.execute_ws(query=query, operation_name="RolloutProgress", variables=variables, **kwargs):
            yield RolloutProgress.model_validate(data).rollout_progress
