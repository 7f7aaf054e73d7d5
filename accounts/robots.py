"""Make robots and give them new tokens."""

from accounts.models import Namespace, Robot
from accounts.names import validate_component
from accounts.tokens import ROBOT_TOKEN_PREFIX, hash_token, make_token


def create_robot(
    *, namespace: Namespace, name: str, description: str = ""
) -> tuple[Robot, str]:
    """Make a robot; the second value is its token, which is kept nowhere.

    Raises NameInvalid for a name that the grammar refuses, and IntegrityError when the
    namespace has a robot of that name.
    """
    validate_component(name)
    token = make_token(ROBOT_TOKEN_PREFIX)
    robot = Robot.objects.create(
        namespace=namespace,
        name=name,
        description=description,
        token_hash=hash_token(token),
    )
    return robot, token


def replace_token(robot: Robot) -> str:
    """Give the robot a new token and end the old one at once."""
    token = make_token(ROBOT_TOKEN_PREFIX)
    robot.token_hash = hash_token(token)
    robot.save(update_fields=["token_hash"])
    return token
