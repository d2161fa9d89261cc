package config

// A summary says what is wrong in at most six words. Summaries are grouped by
// what the reader has to look at. hcl's own summaries of syntax errors are the
// only ones that do not stand here.
type summary string

const (
	// The file.
	sumUnreadable summary = "file cannot be read"
	sumTooLarge   summary = "file is too large"
	sumTooDeep    summary = "nested too deeply"
	sumNoFile     summary = "no such file"
	sumNoText     summary = "not a text in UTF-8"
	sumJSON       summary = "not valid JSON"
	sumJSONLayout summary = "JSON is not laid out"

	// Names.
	sumUnknownBlock   summary = "unknown block"
	sumUnknownSetting summary = "unknown setting"
	sumLater          summary = "not in this version"
	sumNotBlock       summary = "a setting, written as a block"
	sumNotSetting     summary = "a block, written as a setting"
	sumLabel          summary = "wrong number of labels"
	sumBadName        summary = "unusable name"
	sumTwice          summary = "name used twice"
	sumSecondBlock    summary = "block written twice"

	// Values.
	sumType         summary = "wrong kind of value"
	sumMissing      summary = "setting is missing"
	sumNull         summary = "value is null"
	sumEmpty        summary = "empty value"
	sumUnknownWord  summary = "unknown word"
	sumVariable     summary = "unknown variable"
	sumFunction     summary = "unknown function"
	sumCycle        summary = "reference to itself"
	sumIPXEVariable summary = "iPXE's ${…} needs a second $"
	sumURL          summary = "unusable URL"
	sumSize         summary = "unusable size"
	sumDuration     summary = "unusable duration"
	sumDigest       summary = "unusable digest"
	sumOtherDigest  summary = "file has another digest"
	sumNumber       summary = "unusable number"

	// Listeners.
	sumNoListener   summary = "no listener"
	sumUnknownKind  summary = "unknown kind of listener"
	sumAddress      summary = "unusable address"
	sumIPv4Only     summary = "address must be IPv4"
	sumAddressTwice summary = "address used twice"
	sumNotHere      summary = "setting has no effect here"
	sumInterface    summary = "unusable interface name"
	sumAdvertise    summary = "unusable address to advertise"
	sumRelay        summary = "unusable address of a relay"
	sumSharedServer summary = "server beside another on this host"
	sumTwoEnds      summary = "pool with two ends"
	sumNobody       summary = "server that answers nobody"
	sumNoHTTP       summary = "no http listener"
	sumNoIPv6       summary = "nothing there over IPv6"
	sumNoTFTP       summary = "no tftp listener"
	sumNoPXE        summary = "no pxe listener"
	sumHalfPair     summary = "certificate and key go together"
	sumOpenStatus   summary = "anybody could read the status"
	sumToken        summary = "unusable token"
	sumClearToken   summary = "token goes in the clear"
	sumHTTPS        summary = "machines must trust the certificate"

	// Boots.
	sumUnlocked      summary = "not in the lock file"
	sumLock          summary = "unusable lock file"
	sumTwoDigests    summary = "digest said in two ways"
	sumKey           summary = "unusable key"
	sumNothingToBoot summary = "boot without kernel or script"
	sumLoader        summary = "loader does not fit the boot"
	sumScriptAlone   summary = "setting beside a script"
	sumAPIAlone      summary = "setting beside an API"
	sumScript        summary = "script is no iPXE script"
	sumOneLine       summary = "command line of several lines"
	sumTemplate      summary = "unusable template in command line"
	sumPathFact      summary = "fact that cannot choose files"
	sumUnusedBoot    summary = "boot is never used"
	sumInstaller     summary = "an installer without installs"

	// Files of boots, and assets.
	sumNoContent   summary = "file without content"
	sumTwoContents summary = "file with two contents"
	sumShown       summary = "a secret would be shown"
	sumLink        summary = "nothing that has an address"
	sumAssets      summary = "directory of everything"
	sumUnusedFile  summary = "no machine asks for it"
	sumNoUploads   summary = "nothing keeps what machines send"
	sumReplaces    summary = "a link would be replaced"

	// Tests.
	sumHalfTest   summary = "test without machine or expectation"
	sumTestFailed summary = "test failed"

	// Machines.
	sumNoIdentity summary = "machine without MAC and UUID"
	sumUUID       summary = "unusable UUID"

	// Rules.
	sumNoAction       summary = "rule does nothing"
	sumTwoActions     summary = "rule does two things"
	sumOnlyTrue       summary = "only true has a meaning"
	sumNoBoot         summary = "no such boot"
	sumNotReference   summary = "not a reference to a boot"
	sumEmptyMatch     summary = "match without a condition"
	sumEmptyCondition summary = "empty condition"
	sumMAC            summary = "unusable MAC address pattern"
	sumPattern        summary = "unusable pattern"
	sumNetwork        summary = "unusable network"
	sumNoMachine      summary = "no such machine"
	sumConstant       summary = "condition without machine"
	sumProbes         summary = "every machine would load iPXE"
	sumHidden         summary = "rule is never reached"
	sumNotOnce        summary = "would install at every boot"
	sumStrangers      summary = "strangers are not installed"
	sumNeverDone      summary = "nobody says that it is done"
	sumImpossible     summary = "no machine can match"
	sumNoRules        summary = "no rules"
)
