#include "cli/start/rights.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "cli/start/payload.h"
#include "cli/terminal/notice.h"
#include "sandbox/keeper.h"
#include "sandbox/landlock.h"
#include "sandbox/sandbox.h"
#include "sandbox/user.h"

namespace ringside::cli {
namespace {

// An error where one was asked for.
Result<void> go_without(const Options& options, const std::string& why) {
  if (options.sandbox == Sandbox::Required)
    return fail(ErrorCode::NotSupported,
                "--sandbox on: there can be none, because " + why + "; --sandbox off goes without");
  notice("sandbox: none, because {}; the process keeps its rights", why);
  return {};
}

// A filter does not see which files are opened: these two processes are kept from others' by
// Landlock alone.
void say_where_files_are_free(const Options& options) {
  if (options.sandbox == Sandbox::Off) return;
  const Result<int> version = sandbox::landlock_version();
  const std::string why = version ? "Landlock is of version 1" : version.error().text();
  if (options.network && !version)
    log::warning("--net: {}: the network's process can read what its user may", why);
  if (!options.shares.empty() && version.value_or(0) < 2)
    log::warning("--share: {}: the folder's process can open what its user may", why);
}

// What there will be of the host's names in this run.
sandbox::Names names_of(const Options& options) {
  const auto parent = [](const std::string& file) {
    if (file.empty()) return std::string();
    const std::string folder = std::filesystem::path(file).parent_path();
    return folder.empty() ? "." : folder;
  };
  sandbox::Names names;
  names.inputs = payload_files(options);
  names.folders = {options.files.empty() ? "." : options.files, parent(options.save),
                   parent(options.dump_on_panic)};
  // Which folders a saved machine shares is not known yet.
  const bool writable =
      std::any_of(options.shares.begin(), options.shares.end(),
                  [](const auto& folder) { return folder.access == share::Access::ReadWrite; });
  if (writable || !options.restore.empty()) names.links = sandbox::Links::OfTheStart;
  const auto add = [&names](const transport::Endpoint& endpoint) {
    if (const auto* local = std::get_if<transport::UnixEndpoint>(&endpoint))
      names.sockets.push_back(local->path);
  };
  if (options.gdb) add(options.gdb->endpoint);
  if (options.guest_gdb) add(*options.guest_gdb);
  if (options.qmp) add(*options.qmp);
  for (const Stream* stream : {&options.serial, &options.console})
    if (const auto* endpoint = std::get_if<transport::Endpoint>(stream)) add(*endpoint);
  if (options.vsock && !options.vsock->path.empty() && options.replay.empty())
    names.sockets.push_back(options.vsock->path);
  names.debugger_may_come =
      !options.gdb || std::holds_alternative<transport::StdioEndpoint>(options.gdb->endpoint);
  names.rights = rights_of(options);
  return names;
}

}  // namespace

sandbox::Rights rights_of(const Options& options) {
  switch (options.sandbox) {
    case Sandbox::Off:
      return {sandbox::Confinement::Off, options.user};
    case Sandbox::On:
      return {sandbox::Confinement::On, options.user};
    case Sandbox::Required:
      break;
  }
  return {sandbox::Confinement::Required, options.user};
}

Result<std::unique_ptr<sandbox::Outside>> reach_outside(Options& options) {
  if (!options.user.empty()) TRY(sandbox::check_user(options.user));
  if (options.sandbox == Sandbox::Required && !sandbox::why_none().empty())
    TRY(go_without(options, sandbox::why_none()));
  if (options.sandbox == Sandbox::On && !sandbox::why_none().empty()) {
    log::info("sandbox: none: {}", sandbox::why_none());
    options.sandbox = Sandbox::Off;
  }
  sandbox::Names names = names_of(options);
  if (options.sandbox != Sandbox::Off) {
    Result<std::unique_ptr<sandbox::Outside>> keeper = sandbox::start_keeper(names);
    if (keeper) return keeper;
    TRY(go_without(options, keeper.error().text()));
    options.sandbox = Sandbox::Off;
  }
  return std::make_unique<sandbox::HostOutside>(std::move(names));
}

Result<companions::Sockets> start_companions(const Options& options) {
  if (!options.replay.empty()) return {};
  say_where_files_are_free(options);
  companions::Wishes wishes;
  wishes.network = options.network;
  wishes.shares = options.shares;
  if (options.vsock && !options.vsock->path.empty()) wishes.vsock = options.vsock;
  wishes.admission = {options.gdb_allow, {}, "--gdb-allow any"};
  wishes.rights = rights_of(options);
  return companions::start(wishes);
}

Result<void> give_up_rights(const Options& options, sandbox::Outside& outside,
                            sandbox::Engine engine) {
  TRY(outside.begin());
  if (!options.user.empty()) {
    TRY(sandbox::become(options.user));
  } else if (sandbox::runs_as_root()) {
    notice("ringside: runs as root; --user NAME goes on with a user's rights");
  }
  if (options.sandbox == Sandbox::Off) return {};
  if (const Result<void> entered = sandbox::enter(engine); !entered)
    return go_without(options, entered.error().text());
  return {};
}

}  // namespace ringside::cli
