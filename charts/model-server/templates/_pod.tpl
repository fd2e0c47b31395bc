{{/* The server's pod, the same in an InferenceService and in a Deployment. */}}
{{- define "model-server.podSpec" -}}
serviceAccountName: {{ include "model-server.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false # a Service named model-server would bring MODEL_SERVER_* variables
terminationGracePeriodSeconds: {{ .Values.shutdown.gracePeriodSeconds }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
containers:
  - {{ include "model-server.container" . | nindent 4 | trim }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ .Values.tmpSizeLimit }}
  {{- with include "model-server.modelVolume" . }}
  {{- nindent 2 . }}
  {{- end }}
  {{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := include "model-server.selector" (list $ "server") | fromYaml }}
  {{- $injected := merge (dict "labelSelector" (dict "matchLabels" $selector)) . }}
  - {{ hasKey . "labelSelector" | ternary . $injected | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- range $field := list "imagePullSecrets" "nodeSelector" "affinity" "tolerations" "priorityClassName" "resourceClaims" }}
{{- with get $.Values $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- end }}

{{- define "model-server.container" -}}
name: {{ eq .Values.mode "kserve" | ternary "kserve-container" "server" }}
image: {{ include "model-server.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "model-server.env" . | trim | nindent 2 }}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: http
    containerPort: 8080
    protocol: TCP
  {{- if .Values.grpc }}
  - name: grpc
    containerPort: 8081
    protocol: TCP
  {{- end }}
{{- range $probe, $spec := .Values.probes }}
{{ $probe }}Probe:
  {{- toYaml $spec | nindent 2 }}
{{- end }}
{{- with .Values.shutdown.waitSeconds }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with include "model-server.modelMount" . }}
  {{- nindent 2 . }}
  {{- end }}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "model-server.env" -}}
{{- $own := dict "models" "/models" "grpc" .Values.grpc }}
{{- $drain := dict "drainDelayS" .Values.shutdown.delaySeconds "drainTimeoutS" .Values.shutdown.drainSeconds }}
{{- range $name, $value := merge $own $drain .Values.settings }}
- name: MODEL_SERVER_{{ snakecase $name | upper }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- with .Values.models.digests }}
{{- $pins := list }}
{{- range $name, $digest := . }}
{{- $pins = printf "%s=%s" $name $digest | append $pins }}
{{- end }}
- name: MODEL_SERVER_EXPECT_DIGEST
  value: {{ join "," $pins | quote }}
{{- end }}
{{- end }}

{{/* The volume and the mount of the models; none where those in the image are served. */}}
{{- define "model-server.modelVolume" -}}
{{- $source := .Values.models.volume }}
{{- with .Values.models.pvc.claimName }}
{{- $source = dict "persistentVolumeClaim" (dict "claimName" .) }}
{{- end }}
{{- with $source -}}
- {{ merge (dict "name" "models") . | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}

{{- define "model-server.modelMount" -}}
{{- with .Values.models }}
{{- if or .volume .pvc.claimName -}}
- name: models
  mountPath: /models
  readOnly: true
  {{- with .pvc.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "model-server.strategy" -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ .Values.rollout.maxSurge }}
  maxUnavailable: {{ .Values.rollout.maxUnavailable }}
{{- end }}
