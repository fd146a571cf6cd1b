import CtlCommands

await CtlProgram.run()
