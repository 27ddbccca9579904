#include <cstdio>

#include "cli/options/options.h"
#include "cli/run.h"
#include "cli/start/engines.h"
#include "cli/terminal/notice.h"
#include "cli/terminal/signals.h"

int main(int argc, char** argv) {
  using namespace ringside::cli;
  const auto failed = [](const ringside::Error& error) {
    notice("ringside: {}", error.text());
    return kErrorStatus;
  };
  handle_signals_from_the_start();
  const ringside::Result<CommandLine> line = parse_command_line(argc, argv);
  if (!line) return failed(line.error());
  if (line->print) {
    std::fputs(line->print->c_str(), stdout);
    return 0;
  }
  log_to_stderr(line->options.log_level);
  if (line->options.probe) {
    std::fputs(describe_engines().c_str(), stdout);
    return 0;
  }
  const ringside::Result<int> status = run(line->options);
  return status ? *status : failed(status.error());
}
