"""All tables, so that importing this package is enough for migrations and relations to see every model."""

from core.models.access import ApiToken, AuditRecord, IdempotencyKey
from core.models.agent import Agent, AgentPolicy
from core.models.code import Repository
from core.models.conflict import FieldConflict
from core.models.delivery import Delivery, DeliveryCount
from core.models.facts import CodeChange, CodeCommit, CodeDeployment, CodePipelineRun, CodeRelease, CodeReview
from core.models.incident import Incident, IncidentUpdate
from core.models.integration import Credential, Identity, Integration, OAuthAttempt, Subscription, SyncCause, SyncRun
from core.models.measure import MeasurePoint, MeasureSeries, QualityGate
from core.models.notification import BrokenChannel, NotificationMessage, NotificationRoute, NotificationThread
from core.models.operation import IdCounter, Lease, RateBudget, StreamCursor
from core.models.outbound import WebhookAttempt, WebhookEndpoint, WebhookMessage
from core.models.task import Binding, Event, Task, TaskHistory, TaskVelocity
from core.models.tenancy import Organization, ProjectLabel, ServiceLine, User, Workspace

__all__ = [
    "Agent",
    "AgentPolicy",
    "ApiToken",
    "AuditRecord",
    "Binding",
    "BrokenChannel",
    "CodeChange",
    "CodeCommit",
    "CodeDeployment",
    "CodePipelineRun",
    "CodeRelease",
    "CodeReview",
    "Credential",
    "Delivery",
    "DeliveryCount",
    "Event",
    "FieldConflict",
    "IdCounter",
    "IdempotencyKey",
    "Identity",
    "Incident",
    "IncidentUpdate",
    "Integration",
    "Lease",
    "MeasurePoint",
    "MeasureSeries",
    "NotificationMessage",
    "NotificationRoute",
    "NotificationThread",
    "OAuthAttempt",
    "Organization",
    "ProjectLabel",
    "QualityGate",
    "RateBudget",
    "Repository",
    "ServiceLine",
    "StreamCursor",
    "Subscription",
    "SyncCause",
    "SyncRun",
    "Task",
    "TaskHistory",
    "TaskVelocity",
    "User",
    "WebhookAttempt",
    "WebhookEndpoint",
    "WebhookMessage",
    "Workspace",
]
