/** `npm start`: a placeholder until the launcher stands. */
process.exitCode = 1;
