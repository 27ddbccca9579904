#include "rsp/request.h"

#include "rsp/families.h"

namespace ringside::rsp {
namespace {

// Queries are told apart by their whole name: qC is not the beginning of qCRC. What ends a name is
// the first of these; `.` and `?` belong to it (qqemu.sstep, vCont?).
std::string_view name_of(std::string_view payload) {
  return payload.substr(0, payload.find_first_of(":;,="));
}

struct NamedPacket {
  std::string_view name;
  Request (*parse)(std::string_view payload);
};

constexpr NamedPacket kNamedPackets[] = {
    {"qSupported", parse_session_query},
    {"QStartNoAckMode", parse_session_query},
    {"qHostInfo", parse_session_query},
    {"qAttached", parse_session_query},
    {"vKill", parse_session_query},
    {"vAttach", parse_session_query},
    {"vRun", parse_session_query},
    {"vCont", parse_resume_query},
    {"vCont?", parse_resume_query},
    {"vCtrlC", parse_resume_query},
    {"QNonStop", parse_resume_query},
    {"vStopped", parse_resume_query},
    {"qC", parse_thread_query},
    {"qfThreadInfo", parse_thread_query},
    {"qsThreadInfo", parse_thread_query},
    {"qThreadExtraInfo", parse_thread_query},
    {"qXfer", parse_transfer},
    {"qOffsets", parse_transfer},
    {"qRcmd", parse_monitor},
    {"qSearch", parse_memory_query},
    {"qCRC", parse_memory_query},
    {"qMemoryRegionInfo", parse_memory_query},
    {"qqemu.PhyMemMode", parse_qemu},
    {"Qqemu.PhyMemMode", parse_qemu},
    {"qqemu.sstepbits", parse_qemu},
    {"Qqemu.sstepbits", parse_qemu},
    {"qqemu.sstep", parse_qemu},
    {"Qqemu.sstep", parse_qemu},
    {"QTinit", parse_trace},
    {"QTDP", parse_trace},
    {"QTDPsrc", parse_trace},
    {"QTDV", parse_trace},
    {"QTEnable", parse_trace},
    {"QTDisable", parse_trace},
    {"QTro", parse_trace},
    {"QTStart", parse_trace},
    {"QTStop", parse_trace},
    {"QTFrame", parse_trace},
    {"QTBuffer", parse_trace},
    {"QTSave", parse_trace},
    {"QTDisconnected", parse_trace},
    {"QTNotes", parse_trace},
    {"qTV", parse_trace_query},
    {"qTStatus", parse_trace_query},
    {"qTP", parse_trace_query},
    {"qTfP", parse_trace_query},
    {"qTsP", parse_trace_query},
    {"qTfV", parse_trace_query},
    {"qTsV", parse_trace_query},
    {"qTBuffer", parse_trace_query},
    {"qTMinFTPILen", parse_trace_query},
    {"QThreadSuffixSupported", parse_lldb},
    {"QListThreadsInStopReply", parse_lldb},
    {"QEnableErrorStrings", parse_lldb},
    {"QSaveRegisterState", parse_lldb},
    {"QRestoreRegisterState", parse_lldb},
    {"qProcessInfo", parse_lldb},
    {"qGDBServerVersion", parse_lldb},
    {"qWatchpointSupportInfo", parse_lldb},
};

Request parse_named(std::string_view payload) {
  const std::string_view name = name_of(payload);
  for (const NamedPacket& packet : kNamedPackets) {
    if (packet.name == name) return packet.parse(payload);
  }
  // The only query whose name runs into its argument.
  if (payload.starts_with("qThreadStopInfo")) return parse_lldb(payload);
  return Unknown{};
}

}  // namespace

Request parse(std::string_view payload) {
  if (payload.empty()) return Unknown{};
  switch (payload.front()) {
    case 'g':
    case 'G':
    case 'p':
    case 'P':
      return parse_registers(payload);
    case '_':
    case 'j':
      return parse_lldb(payload);
    case 'M':
      if (payload.starts_with("Mu")) return parse_lldb(payload);
      return parse_memory(payload);
    case 'm':
    case 'x':
    case 'X':
      return parse_memory(payload);
    case '?':
    case 'b':
    case 'c':
    case 'C':
    case 's':
    case 'S':
      return parse_resume(payload);
    case 'Z':
    case 'z':
      return parse_breakpoint(payload);
    case 'H':
    case 'T':
      return parse_thread(payload);
    case '!':
    case 'D':
    case 'k':
    case 'R':
      return parse_session(payload);
    case 'q':
    case 'Q':
    case 'v':
      return parse_named(payload);
    default:
      return Unknown{};
  }
}

}  // namespace ringside::rsp
