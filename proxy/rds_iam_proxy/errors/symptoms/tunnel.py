"""The proxy's own tunnel to RDS."""

from .row import Symptom

TUNNEL = (
    Symptom(
        "tunnel-program",
        "The program of the tunnel is not there",
        "unreachable",
        "the tunnel {tunnel} needs the program {program}, which is not in PATH; install it, or correct PATH",
        "`ssh:` needs OpenSSH's client, `ssm:` the AWS CLI version 2; a command of your own needs its program. PATH"
        " is that of the proxy, which is not that of your shell where a service manager started it.",
        "Install it (`openssh-client`; AWS's CLI and Session Manager plugin), or set PATH for the proxy.",
    ),
    Symptom(
        "tunnel-plugin",
        "The Session Manager plugin is not there",
        "unreachable",
        "the tunnel {tunnel} needs AWS's session-manager-plugin beside the aws command; install it, see"
        " `session-manager-plugin --version`",
        "`aws ssm start-session` leaves the data to a program of its own, which is not part of the AWS CLI.",
        "Install the Session Manager plugin for your system from AWS's documentation, and put it in the proxy's PATH.",
        detail="{said}",
    ),
    Symptom(
        "tunnel-key",
        "The bastion accepts no key of yours",
        "unreachable",
        "the tunnel {tunnel}: {said}; run `ssh{port} {host}` in a terminal until it asks nothing: load the key with"
        " ssh-add, or name it in ~/.ssh/config",
        "`ssh` runs where it can ask for no password and no passphrase. The key is not in the agent, has a passphrase,"
        " is not allowed there, or the user's name is wrong.",
        "`ssh-add` the key, and check that the proxy sees the agent (SSH_AUTH_SOCK). `ssh -o BatchMode=yes HOST true`"
        " must succeed.",
    ),
    Symptom(
        "tunnel-host-key",
        "The bastion's host key is not known",
        "unreachable",
        "the tunnel {tunnel}: {said} Its key is not known here: run `ssh{port} {host}` once in a terminal, compare the"
        " fingerprint and accept it",
        "The first connection to a host asks whether its key is right, and here nobody can answer.",
        "Run `ssh HOST` once, or put the key into known_hosts; compare the fingerprint with that of whoever runs the"
        " host.",
    ),
    Symptom(
        "tunnel-host-changed",
        "The bastion's host key is not the one that is known",
        "unreachable",
        "the tunnel {tunnel}: the host key of {host} is not the one in known_hosts; ask whoever runs it, and only then"
        " remove the old key: `ssh-keygen -R HOST`",
        "The host was made anew, or somebody between pretends to be it. Tokens are not in danger, which go to RDS's"
        " certificate only; your login at the bastion may be.",
        "Ask for the new fingerprint, then `ssh-keygen -R HOST` and `ssh HOST` once.",
    ),
    Symptom(
        "tunnel-not-connected",
        "Session Manager does not reach the instance",
        "unreachable",
        "the tunnel {tunnel}: {instance} is not connected to Session Manager (TargetNotConnected); see `aws ssm"
        " describe-instance-information{profile}`",
        "The instance is stopped, its agent does not run, its role lacks AmazonSSMManagedInstanceCore, it has no way"
        " to the endpoints ssm, ssmmessages and ec2messages; or it is in another region or account.",
        "`aws ssm describe-instance-information` lists those that are connected, in the target's region with its"
        " profile.",
        detail="{said}",
    ),
    Symptom(
        "tunnel-denied",
        "AWS allows no session for the tunnel",
        "unreachable",
        "the tunnel {tunnel}: AWS denies it; the profile needs ssm:StartSession on the instance and on the document"
        " AWS-StartPortForwardingSessionToRemoteHost: {said}",
        "Whoever the target's `profile` is may not start this session. A `role_arn` of the target counts for tokens"
        " only.",
        "docs/tunnels.md has the policy.",
    ),
    Symptom(
        "tunnel-credentials",
        "AWS credentials for the tunnel are missing or have ended",
        "unreachable",
        "the tunnel {tunnel}: the aws command has no valid credentials; run `aws sso login{profile}`: {said}",
        "The SSO session ended, the temporary credentials did, or there is no such profile.",
        "`aws sso login`, or what else gives you credentials; `aws sts get-caller-identity` with the profile must"
        " succeed.",
    ),
    Symptom(
        "tunnel-forbidden",
        "The bastion forwards nothing",
        "unreachable",
        "the tunnel {tunnel} is open, but the bastion forbids the way to {where} ({said}); allow it there"
        " (AllowTcpForwarding, PermitOpen, permitopen)",
        "sshd_config, or the options of your key in authorized_keys, do not let you forward there.",
        "Ask whoever runs the bastion for `AllowTcpForwarding local` or `PermitOpen HOST:PORT`.",
    ),
    Symptom(
        "tunnel-far-end",
        "The tunnel's far end cannot connect to RDS",
        "unreachable",
        "the tunnel {tunnel} is open, but its far end cannot connect to {where} ({said}); check the security group and"
        " the endpoint",
        "The bastion has no route to the database, its DNS does not know the name, or the database's security group"
        " does not let it in.",
        "Let the security group of the database accept the bastion's on the port, and try from the bastion: `nc -vz"
        " HOST PORT`.",
    ),
    Symptom(
        "tunnel-ended",
        "The tunnel's program ended",
        "unreachable",
        "the tunnel {tunnel} to {where} cannot be kept open: exit code {code}, it said: {said}",
        "The program that makes the tunnel ended, for the reason that it gives: no network, a name that is not known, a"
        " time limit of Session Manager. It is started again after a pause, of half a minute at most.",
        "Run the same in a terminal (`ssh HOST`, `aws ssm start-session`, your command). The log has all its lines at"
        " level debug.",
    ),
    Symptom(
        "tunnel-late",
        "The tunnel is not open in time",
        "unreachable",
        "the tunnel {tunnel} to {where} did not open within {seconds:.1f} s; it said: {said}",
        "The program runs, but nobody listens at its near end yet: the network is slow, or a hardware key waits for a"
        " touch. A login waits as long as `login_timeout` lets it; the tunnel goes on opening.",
        "Try again, and give `login_timeout` more if it always takes so long.",
    ),
)
