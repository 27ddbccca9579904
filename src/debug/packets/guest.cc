// What is known of the system in the guest: qXfer of libraries, osdata and vmcoreinfo; qOffsets. It
// is asked of who knows that system (GuestKnowledge), each time anew.
#include <fmt/format.h>

#include "base/xml.h"
#include "debug/packets/debugger.h"

namespace ringside::debug {
namespace {

// A guest may list what it likes; a client need not take it all.
constexpr std::size_t kMostLibraries = 4096, kMostSections = 1024;

// As GDB's library-list.dtd has it.
std::string library_list(const std::vector<GuestLibrary>& libraries) {
  std::string xml = "<library-list version=\"1.0\">\n";
  for (const GuestLibrary& library :
       std::span(libraries).first(std::min(libraries.size(), kMostLibraries))) {
    // One without sections is an error to GDB.
    if (library.sections.empty() || library.sections.size() > kMostSections) continue;
    xml += fmt::format("<library name=\"{}\">", xml_text(library.name));
    for (const std::uint64_t address : library.sections)
      xml += fmt::format("<section address=\"{:#x}\"/>", address);
    xml += "</library>\n";
  }
  return xml + "</library-list>\n";
}

}  // namespace

bool Debugger::is_of_guest(const rsp::ReadTransfer& request) const {
  const GuestKnowledge& guest = options_.guest;
  return (request.object == "libraries" && guest.libraries) ||
         (request.object == "osdata" && guest.os_data) ||
         (request.object == "vmcoreinfo" && guest.vmcoreinfo);
}

// The pieces of a document are of one moment: that of the first.
Debugger::Answer Debugger::serve_of_guest(const rsp::ReadTransfer& request) {
  if (request.object != "osdata" && !request.annex.empty())
    return refuse(ErrorCode::NotFound, "there is no such annex");
  const std::string name = request.object + ":" + request.annex;
  if (request.offset == 0 || name != guest_document_) {
    guest_document_.clear();
    Result<std::string> document = document_of_guest(request);
    if (!document) return refuse(document);
    guest_document_ = name;
    guest_text_ = *std::move(document);
  }
  return rsp::reply::transfer(guest_text_, request.offset, request.length);
}

Result<std::string> Debugger::document_of_guest(const rsp::ReadTransfer& request) {
  if (request.object == "osdata") return options_.guest.os_data(request.annex);
  if (request.object == "vmcoreinfo") return options_.guest.vmcoreinfo();
  session_.reads_libraries = true;
  // Debuggers ask whatever the guest is. One of which nothing is known has none.
  const auto libraries = options_.guest.libraries();
  return library_list(libraries ? *libraries : std::vector<GuestLibrary>());
}

// GDB moves all segments of its program by as much as the first.
Debugger::Answer Debugger::serve(const rsp::QueryOffsets&) {
  if (!options_.guest.moved_to) return rsp::reply::empty();
  const std::optional<Gva> start = options_.guest.moved_to();
  return start ? fmt::format("TextSeg={:x}", start->value) : rsp::reply::empty();
}

// ---- Libraries that come and go

// The breakpoints at which they do are put back at each resume: a client that has one there itself
// takes it out at every stop. That one is the client's then, and a stop at it is no library's.
void Debugger::keep_library_events() {
  for (const Gva address : session_.library_events) {
    if (target_.breakpoints().wish_at(address) != nullptr) continue;
    AgentProgram program;
    program.of_server = true;
    (void)target_.insert_breakpoint(session_.current, address, program, Target::Unmapped::Await);
  }
}

bool Debugger::is_library_event(const StopEvent& event) const {
  const auto ours = [](const BreakpointTable::Wish* wish) {
    return wish != nullptr && wish->program.of_server;
  };
  if (event.cause == StopCause::LinearBreakpoint)
    return ours(target_.breakpoints().wish_at(Gva{event.address}));
  if (event.cause != StopCause::Breakpoint) return false;
  const auto wishes = target_.breakpoints().wishes_at(Gpa{event.address});
  return !wishes.empty() && std::all_of(wishes.begin(), wishes.end(), ours);
}

}  // namespace ringside::debug
