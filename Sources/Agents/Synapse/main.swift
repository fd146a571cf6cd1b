import AgentShell
import Glibc

exit(AgentProgram.run(.synapse, arguments: Array(CommandLine.arguments.dropFirst())))
