import AgentShell
import Glibc

exit(AgentProgram.run(.nerve, arguments: Array(CommandLine.arguments.dropFirst())))
